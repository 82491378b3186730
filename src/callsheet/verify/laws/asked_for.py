"""Law: no job comes from nowhere: each was submitted, or follows from a completed job."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.facts import PERHAPS, completed_under
from callsheet.verify.laws.finding import Finding, law


@law("asked for")
def asked_for(history: History) -> Iterator[Finding]:
    """No job comes from nowhere: each was submitted, or follows from a completed job.

    Judged where the clients were recorded.
    """
    if not history.has_calls:
        return
    follow_ups = {
        follow_up: (story, result.token)
        for story in history.jobs.values()
        for result in story.results
        for follow_up in result.follow_ups
        if completed_under(story, result.token)
    }
    for story in history.jobs.values():
        if story.rows and story.id not in follow_ups and not story.asked_for("submit", *PERHAPS):
            yield Finding(
                job=story.id,
                sentence="is in the tables, and nobody asked for it with success",
                events=(*story.rows, *(event for call in story.calls for event in call.events)),
            )
