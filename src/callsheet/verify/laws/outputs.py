"""Law: what was asked for at a path lies there."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("outputs")
def outputs(history: History) -> Iterator[Finding]:
    """What a completed job made lies where it was asked for, made under the lease that completed the job.

    Judged where the recorder says that it waited.
    """
    if history.tables is None or not history.tables.at_rest:
        return
    for story in history.jobs.values():
        row = story.row
        result = None if row is None or row.state != "completed" else story.result(row.token)
        if row is None or result is None:
            continue
        there = {output.path for output in story.outputs if output.token == row.token}
        for path in result.outputs:
            if path not in there:
                yield Finding(
                    job=story.id,
                    sentence=f"is completed, and what it made for {path} is not there",
                    events=(result, row, *story.outputs),
                )
