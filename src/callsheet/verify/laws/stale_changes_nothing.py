"""Law: a stale token changes nothing: neither the job nor what the library points at."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("stale changes nothing")
def stale_changes_nothing(history: History) -> Iterator[Finding]:
    """A stale token changes nothing: neither the job nor what the library points at.

    A completed job was completed by a worker that heard of its lease, where workers were recorded.
    """
    for story in history.jobs.values():
        row = story.row
        for fate in story.fates:
            result = story.result(fate.token)
            stale = fate.fate in {"stale", "refused"} and result and result.outcome == "completed"
            if stale and row and row.state == "completed" and row.token == fate.token:
                yield Finding(
                    job=story.id,
                    sentence=f"is completed by a result that was {fate.fate}",
                    events=(fate, row),
                )
        for output in story.outputs:
            if row is None or row.state != "completed" or row.token != output.token:
                yield Finding(
                    job=story.id,
                    sentence=f"published {output.path} under a lease that did not complete it",
                    events=(output, *story.rows),
                )
        if row and row.state == "completed" and history.workers and not story.result(row.token):
            yield Finding(job=story.id, sentence="is completed, and no worker reported it", events=(row,))
