"""Law: a lease is run once."""

from collections.abc import Iterator

from callsheet.verify.events import Started
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("one start")
def one_start(history: History) -> Iterator[Finding]:
    """A lease is run once: its processor begins at most once, and after its worker heard of the lease."""
    for story in history.jobs.values():
        first: dict[int, Started] = {}
        for started in story.started:
            earlier = first.setdefault(started.token, started)
            if earlier is not started:
                yield Finding(
                    job=story.id,
                    sentence=f"was begun twice under the token {started.token}",
                    events=(earlier, started),
                )
            if not any(one.token == started.token and one.by == started.by for one in story.granted):
                yield Finding(
                    job=story.id,
                    sentence=f"was begun under the token {started.token}, of which the worker had not heard",
                    events=(started,),
                )
