"""Law: every accepted job is in exactly one of the live jobs and the history."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.facts import FINAL
from callsheet.verify.laws.finding import Finding, law


@law("one place")
def one_place(history: History) -> Iterator[Finding]:
    """Every accepted job is in exactly one of the live jobs and the history."""
    for story in history.jobs.values():
        if len(story.rows) > 1:
            places = " and ".join(row.what for row in story.rows)
            yield Finding(job=story.id, sentence=f"has several rows: {places}", events=tuple(story.rows))
        for row in story.rows:
            if (row.what == "done") != (row.state in FINAL):
                yield Finding(
                    job=story.id, sentence=f"is {row.state} and its row is {row.what}", events=(row,)
                )
