"""Law: what a client was told is durable: a job told to be final is so, unless a retry was asked for."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.facts import FINAL, PERHAPS
from callsheet.verify.laws.finding import Finding, law


@law("told")
def told(history: History) -> Iterator[Finding]:
    """What a client was told is durable: a job told to be final is so, unless a retry was asked for."""
    for story in history.jobs.values():
        row = story.row
        for call in story.calls:
            state = call.told(story.id)
            if state is None or state not in FINAL or (row is not None and row.state == state):
                continue
            if state != "completed" and story.asked_for("retry", *PERHAPS):
                continue
            if history.tables is not None:
                is_now = "gone" if row is None else row.state
                yield Finding(
                    job=story.id,
                    sentence=f"was told to be {state} and is {is_now}",
                    events=(*call.events, *story.rows),
                )
