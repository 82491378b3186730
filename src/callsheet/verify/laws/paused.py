"""Law: a paused scope gets no new lease, from the answer to the pause until the resumption is asked for."""

from collections.abc import Iterator

from callsheet.verify.events import JobRow
from callsheet.verify.history import Call, History
from callsheet.verify.laws.facts import CLOCK_SLACK_S
from callsheet.verify.laws.finding import Finding, law


@law("paused")
def paused(history: History) -> Iterator[Finding]:
    """A paused scope gets no new lease, from the answer to the pause until the resumption is asked for.

    Judged by the last lease of each job, with the slack of two clocks.
    """
    for pause in history.calls.values():
        if pause.invoke.op != "pause" or pause.outcome != "ok" or pause.answer is None:
            continue
        begins = pause.answer.utc + CLOCK_SLACK_S
        ends = _resumed_at(history, pause) - CLOCK_SLACK_S
        for row in history.rows:
            if row.granted_at is not None and begins < row.granted_at < ends and _in_scope(row, pause):
                yield Finding(
                    job=row.id, sentence="was granted while it was paused", events=(*pause.events, row)
                )


def _resumed_at(history: History, pause: Call) -> float:
    """Return when the first resumption was asked for that may have come after the pause."""
    perhaps_after = [
        call.invoke.utc
        for call in history.calls.values()
        if call.invoke.op == "resume"
        and call.invoke.scope == pause.invoke.scope
        and call.invoke.jobs == pause.invoke.jobs
        and call.outcome != "refused"
        and (call.answer is None or call.outcome == "unknown" or call.answer.utc > pause.invoke.utc)
    ]
    return min(perhaps_after, default=float("inf"))


def _in_scope(row: JobRow, pause: Call) -> bool:
    if pause.invoke.jobs:
        return row.id in {job.id for job in pause.invoke.jobs}
    return pause.invoke.scope in {"all", row.category, row.type}
