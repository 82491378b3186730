"""What several laws rest on."""

from collections.abc import Iterator
from typing import Final

from callsheet.verify.events import State
from callsheet.verify.history import Call, History, Story

FINAL: Final[frozenset[State]] = frozenset({"completed", "failed", "cancelled"})

#: A call with one of these outcomes may have taken effect.
PERHAPS: Final = ("ok", "unknown")

#: Seconds by which the clocks of two leaders may differ; each is set by one question to the database.
CLOCK_SLACK_S: Final = 1.0

#: Leases lost in a row after which a job fails.
LOST_MAX: Final = 3


def completed_under(story: Story, token: int) -> bool:
    """Say whether the job is completed, and by the lease with *token*."""
    row = story.row
    return row is not None and row.state == "completed" and row.token == token


def holds(history: History, hold: str, release: str) -> Iterator[tuple[Call, float, float]]:
    """Yield each call *hold* that succeeded, with the instants between which it certainly held.

    It holds from its answer until the first *release* of the same thing was asked for that may have come
    after it; the slack of two clocks is taken off at both ends.
    """
    for call in history.calls.values():
        if call.invoke.op == hold and call.outcome == "ok" and call.answer is not None:
            ends = _released_at(history, call, release)
            yield call, call.answer.utc + CLOCK_SLACK_S, ends - CLOCK_SLACK_S


def _released_at(history: History, hold: Call, release: str) -> float:
    perhaps_after = [
        call.invoke.utc
        for call in history.calls.values()
        if call.invoke.op == release
        and call.invoke.scope == hold.invoke.scope
        and call.invoke.jobs == hold.invoke.jobs
        and call.outcome != "refused"
        and (call.answer is None or call.outcome == "unknown" or call.answer.utc > hold.invoke.utc)
    ]
    return min(perhaps_after, default=float("inf"))
