"""Law: a submission is one transaction: all of its jobs are in the tables, or none where it was refused."""

from collections.abc import Iterator

from callsheet.verify.history import Call, History, Story
from callsheet.verify.laws.finding import Finding, law


@law("all or none")
def all_or_none(history: History) -> Iterator[Finding]:
    """A submission is one transaction: all of its jobs are in the tables, or none where it was refused.

    An unknown outcome may be either, never both. Jobs that another submission may have made do not count.
    """
    if history.tables is None:
        return
    for call in history.calls.values():
        if call.invoke.op != "submit" or call.outcome == "ok":
            continue
        own = [story for job in call.invoke.jobs if _only_of(story := history.jobs[job.id], call)]
        present = [story for story in own if story.rows]
        if present and call.outcome == "refused":
            yield Finding(
                job=present[0].id,
                sentence="was refused and is in the tables all the same",
                events=call.events,
            )
        elif present and len(present) < len(own):
            missing = next(story.id for story in own if not story.rows)
            yield Finding(
                job=missing,
                sentence=f"is missing, while {present[0].id} of the same submission is in the tables",
                events=(*call.events, *present[0].rows),
            )


def _only_of(story: Story, call: Call) -> bool:
    """Whether no other submission can have made the job."""
    return all(other is call for other in story.asked_for("submit", "ok", "unknown", "refused"))
