"""Law: a job is what was asked for: of several bodies under one id only one is ever accepted."""

from collections.abc import Iterator

from callsheet.verify.events import Asked, JobRow
from callsheet.verify.history import History, Story
from callsheet.verify.laws.facts import PERHAPS
from callsheet.verify.laws.finding import Finding, law


@law("as asked")
def as_asked(history: History) -> Iterator[Finding]:
    """A job is what was asked for: of several bodies under one id only one is ever accepted."""
    for story in history.jobs.values():
        accepted = [
            (call, asked) for call in story.asked_for("submit", "ok") if (asked := call.asked(story.id))
        ]
        for call, asked in accepted[1:]:
            if asked != accepted[0][1]:
                yield Finding(
                    job=story.id,
                    sentence="was accepted with two bodies",
                    events=(*accepted[0][0].events, *call.events),
                )
        row = story.row
        possible = [asked for call in story.asked_for("submit", *PERHAPS) if (asked := call.asked(story.id))]
        wanted = [accepted[0][1]] if accepted else possible
        if row is not None and wanted and all(_differs(asked, row, story) for asked in wanted):
            yield Finding(
                job=story.id,
                sentence="is not what was asked for",
                events=(row, *(event for call in story.calls for event in call.events)),
            )


def _differs(asked: Asked, row: JobRow, story: Story) -> bool:
    if asked.priority != row.priority and not story.asked_for("prioritize", *PERHAPS):
        return True
    wanted = (asked.type, asked.max_retries, asked.interactive)
    return wanted != (row.type, row.max_retries, row.interactive)
