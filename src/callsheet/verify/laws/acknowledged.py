"""Law: no acknowledged job is lost: what a submission was told to be accepted is in the tables."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("acknowledged")
def acknowledged(history: History) -> Iterator[Finding]:
    """No acknowledged job is lost: what a submission was told to be accepted is in the tables."""
    if history.tables is None:
        return
    for story in history.jobs.values():
        accepted = story.asked_for("submit", "ok")
        if accepted and not story.rows:
            yield Finding(
                job=story.id,
                sentence="was acknowledged and is in neither the live jobs nor the history",
                events=accepted[0].events,
            )
