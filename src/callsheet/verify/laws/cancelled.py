"""Law: a cancelled job never completes, and a job is cancelled only when somebody asked for it."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.facts import PERHAPS
from callsheet.verify.laws.finding import Finding, law


@law("cancelled")
def cancelled(history: History) -> Iterator[Finding]:
    """A cancelled job never completes, and a job is cancelled only when somebody asked for it."""
    for story in history.jobs.values():
        row = story.row
        for call in story.asked_for("cancel", "ok"):
            ended = call.told(story.id) == "cancelled"
            if ended and row and row.state != "cancelled" and not story.asked_for("retry", *PERHAPS):
                yield Finding(
                    job=story.id,
                    sentence=f"was cancelled by this call and is {row.state}",
                    events=(*call.events, row),
                )
        if not history.has_calls or row is None or row.state != "cancelled":
            continue
        if not story.asked_for("cancel", *PERHAPS):
            yield Finding(job=story.id, sentence="is cancelled, and nobody asked for it", events=(row,))
