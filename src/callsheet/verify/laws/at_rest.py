"""Law: when all faults are healed and time was given, every job has come to its end."""

from collections.abc import Iterator

from callsheet.verify.events import JobRow
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("at rest")
def at_rest(history: History) -> Iterator[Finding]:
    """When all faults are healed and time was given, every job has come to its end.

    Judged where the recorder says that it waited. Paused jobs, and those whose instant lies ahead, may wait.
    """
    tables = history.tables
    if tables is None or not tables.at_rest:
        return
    for row in history.rows:
        if row.what == "live" and row.state != "paused" and (row.run_at or 0.0) <= tables.utc:
            yield Finding(
                job=row.id, sentence=f"is still {row.state} at the end", events=_last_of(history, row)
            )


def _last_of(history: History, row: JobRow) -> tuple[JobRow, ...]:
    return tuple(history.jobs[row.id].rows)
