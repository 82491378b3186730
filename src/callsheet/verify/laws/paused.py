"""Law: what is paused gets no lease."""

from collections.abc import Iterator

from callsheet.verify.events import JobRow
from callsheet.verify.history import Call, History
from callsheet.verify.laws.facts import holds
from callsheet.verify.laws.finding import Finding, law


@law("paused")
def paused(history: History) -> Iterator[Finding]:
    """A paused scope gets no new lease, from the answer to the pause until the resumption is asked for.

    Judged by the last lease of each job, with the slack of two clocks.
    """
    for pause, begins, ends in holds(history, "pause", "resume"):
        for row in history.rows:
            if row.granted_at is not None and begins < row.granted_at < ends and _in_scope(row, pause):
                yield Finding(
                    job=row.id, sentence="was granted while it was paused", events=(*pause.events, row)
                )


def _in_scope(row: JobRow, pause: Call) -> bool:
    if pause.invoke.jobs:
        return row.id in {job.id for job in pause.invoke.jobs}
    return pause.invoke.scope in {"all", row.category, row.type}
