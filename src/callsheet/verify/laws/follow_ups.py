"""Law: what follows from a job is there exactly when its job completed as asked."""

from collections.abc import Iterator

from callsheet.verify.events import ResultSent
from callsheet.verify.history import History
from callsheet.verify.laws.facts import completed_under
from callsheet.verify.laws.finding import Finding, law


@law("follow-ups")
def follow_ups(history: History) -> Iterator[Finding]:
    """What follows from a job is there exactly when its job completed under the lease that asked for it."""
    if history.tables is None:
        return
    for story in history.jobs.values():
        results: dict[str, list[ResultSent]] = {}
        for result in story.results:
            for follow_up in result.follow_ups:
                results.setdefault(follow_up, []).append(result)
        for follow_up, asking in results.items():
            expected = any(completed_under(story, result.token) for result in asking)
            known = history.jobs.get(follow_up)
            there = known is not None and bool(known.rows)
            if there != expected:
                wrong = "exists without the completion of" if there else "is missing after the completion of"
                yield Finding(
                    job=follow_up,
                    sentence=f"{wrong} {story.id}",
                    events=(asking[-1], *story.rows, *(known.rows if known else ())),
                )
