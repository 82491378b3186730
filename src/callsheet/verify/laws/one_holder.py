"""Law: a lease has one holder: no token is heard by two workers, and none is given to two jobs."""

from collections.abc import Iterator

from callsheet.verify.events import AnyEvent, AttemptRow, JobRow
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("one holder")
def one_holder(history: History) -> Iterator[Finding]:
    """A lease has one holder: no token is heard by two workers, and none is given to two jobs."""
    first: dict[int, AnyEvent] = {}
    owner: dict[int, tuple[str, str]] = {}
    for story in history.jobs.values():
        for granted in story.granted:
            holder = owner.setdefault(granted.token, (story.id, granted.worker))
            first.setdefault(granted.token, granted)
            if holder != (story.id, granted.worker):
                yield Finding(
                    job=story.id,
                    sentence=f"shares the token {granted.token} with {holder[0]} on {holder[1]}",
                    events=(first[granted.token], granted),
                )
    written: dict[int, JobRow | AttemptRow] = {}
    for story in history.jobs.values():
        rows: list[JobRow | AttemptRow] = [*story.attempts, *story.rows]
        for row in rows:
            if row.token == 0:
                continue
            other = written.setdefault(row.token, row)
            if _job_of(other) != story.id:
                yield Finding(
                    job=story.id,
                    sentence=f"has the token {row.token} of {_job_of(other)}",
                    events=(other, row),
                )


def _job_of(row: JobRow | AttemptRow) -> str:
    return row.id if isinstance(row, JobRow) else row.job
