"""Law: nothing reaches a worker before it is durable: every lease that one heard of is in the tables."""

from collections.abc import Iterator

from callsheet.verify.history import History, Story
from callsheet.verify.laws.finding import Finding, law


@law("durable first")
def durable_first(history: History) -> Iterator[Finding]:
    """Nothing reaches a worker before it is durable: every lease that one heard of is in the tables."""
    if history.tables is None:
        return
    for story in history.jobs.values():
        durable = _tokens(story)
        for granted in story.granted:
            if granted.token not in durable:
                yield Finding(
                    job=story.id,
                    sentence=f"was granted under the token {granted.token}, which the tables do not know",
                    events=(granted, *story.rows, *story.attempts),
                )


def _tokens(story: Story) -> set[int]:
    return {row.token for row in story.rows} | {attempt.token for attempt in story.attempts}
