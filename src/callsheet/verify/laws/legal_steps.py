"""Law: only legal steps: a final state is left by a retry alone, and ends are reached from a lease."""

from collections.abc import Iterator
from typing import Final

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law

#: The words that an attempt's row may end with.
OUTCOMES: Final = frozenset({"failed", "returned", "expired", "cancelled", "paused", "yielded"})


@law("legal steps")
def legal_steps(history: History) -> Iterator[Finding]:
    """Only legal steps: a final state is left by a retry alone, and ends are reached from a lease."""
    for story in history.jobs.values():
        row = story.row
        for attempt in story.attempts:
            if attempt.outcome not in OUTCOMES:
                yield Finding(
                    job=story.id,
                    sentence=f"has an attempt that ended as {attempt.outcome}",
                    events=(attempt,),
                )
        if row and row.state == "completed" and row.attempt == 0:
            yield Finding(job=story.id, sentence="is completed and was never leased", events=(row,))
        revivals = [attempt for attempt in story.attempts if attempt.outcome == "cancelled"]
        retries = len(story.asked_for("retry", "ok", "unknown"))
        if history.has_calls and len(revivals) > retries:
            yield Finding(
                job=story.id,
                sentence=f"left a final state {len(revivals)} times, and {retries} retries were asked for",
                events=tuple(revivals),
            )
