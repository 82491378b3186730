"""Law: attempts are numbered from 1 without gaps, one lease after another, under tokens that grow."""

from collections.abc import Iterator
from itertools import pairwise

from callsheet.verify.events import JobRow
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("tokens rise")
def tokens_rise(history: History) -> Iterator[Finding]:
    """Attempts are numbered from 1 without gaps, one lease after another, under tokens that grow."""
    for story in history.jobs.values():
        row = story.row
        if row is None:
            continue
        numbers = [attempt.number for attempt in story.attempts]
        if numbers != list(range(1, _ended(row, len(numbers)) + 1)):
            yield Finding(
                job=story.id,
                sentence=f"is {row.state} in attempt {row.attempt}, with rows of the attempts {numbers}",
                events=(row, *story.attempts),
            )
        for older, newer in pairwise(story.attempts):
            if newer.token <= older.token:
                yield Finding(job=story.id, sentence="has tokens that do not grow", events=(older, newer))
        if story.attempts and row.token < story.attempts[-1].token:
            yield Finding(
                job=story.id,
                sentence="has a token older than an ended attempt",
                events=(row, story.attempts[-1]),
            )


def _ended(row: JobRow, rows: int) -> int:
    """Return how many attempts have ended without finishing the job; *rows* is what the tables say.

    A job that waits has ended them all, and so has one that was cancelled while it waited.
    """
    waits = row.state in {"pending", "paused"} or (row.state == "cancelled" and rows == row.attempt)
    return row.attempt if waits else max(0, row.attempt - 1)
