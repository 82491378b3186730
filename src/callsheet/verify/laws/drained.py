"""Law: a worker that is drained gets no lease."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.facts import holds
from callsheet.verify.laws.finding import Finding, law


@law("drained")
def drained(history: History) -> Iterator[Finding]:
    """A drained worker gets no new lease, from the answer to the drain until its end is asked for.

    Judged by the last lease of each job, with the slack of two clocks.
    """
    for drain, begins, ends in holds(history, "drain", "undrain"):
        for row in history.rows:
            if (
                row.granted_at is not None
                and begins < row.granted_at < ends
                and row.worker == drain.invoke.scope
            ):
                yield Finding(
                    job=row.id,
                    sentence=f"was granted to {row.worker} while that was drained",
                    events=(*drain.events, row),
                )
