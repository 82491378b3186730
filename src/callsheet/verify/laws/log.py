"""Law: the log of an attempt has no gap, and is whole where the attempt completed its job."""

from collections.abc import Iterator

from callsheet.verify.events import JobRow, ResultSent
from callsheet.verify.history import History, Story
from callsheet.verify.laws.finding import Finding, law


@law("log")
def log(history: History) -> Iterator[Finding]:
    """The log of an attempt has no gap, and is whole where the attempt completed its job.

    A worker that was killed takes the end of its logs along, so only a worker that heard of its success is
    held to it.
    """
    for story in history.jobs.values():
        written = {rows.attempt: rows for rows in story.logs}
        for rows in story.logs:
            if rows.first != 1 or rows.last != rows.pieces:
                yield Finding(
                    job=story.id,
                    sentence=f"has a log with gaps in attempt {rows.attempt}: "
                    f"{rows.pieces} pieces from {rows.first} to {rows.last}",
                    events=(rows,),
                )
        row = story.row
        result = None if row is None else _delivered(story, row)
        if row is None or result is None:
            continue
        last = written[row.attempt].last if row.attempt in written else 0
        if last < result.log_pieces:
            yield Finding(
                job=story.id,
                sentence=f"has {last} of the {result.log_pieces} pieces of its log",
                events=(result, row, *story.logs),
            )


def _delivered(story: Story, row: JobRow) -> ResultSent | None:
    """Return the result that completed the job, if the process that sent it, with its log, heard so."""
    result = story.result(row.token) if row.state == "completed" else None
    heard = {fate.by for fate in story.fates if fate.token == row.token and fate.fate == "committed"}
    return result if result is not None and result.by in heard else None
