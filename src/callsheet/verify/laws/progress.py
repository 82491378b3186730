"""Law: progress does not go back."""

from collections.abc import Iterator

from callsheet.verify.events import Progressed
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law

WHOLE = 100


@law("progress")
def progress(history: History) -> Iterator[Finding]:
    """Progress lies between 0 and 100 and never goes back within an attempt."""
    for story in history.jobs.values():
        newest: dict[int, Progressed] = {}
        for said in story.progress:
            before = newest.get(said.token)
            newest[said.token] = said
            if not 0 <= said.percent <= WHOLE:
                yield Finding(job=story.id, sentence=f"is at {said.percent} %", events=(said,))
            if before is not None and said.percent < before.percent:
                yield Finding(
                    job=story.id,
                    sentence=f"went back from {before.percent} % to {said.percent} %",
                    events=(before, said),
                )
