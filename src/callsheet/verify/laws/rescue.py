"""Law: a lost lease goes back within its time and a heartbeat."""

from collections.abc import Iterator
from typing import Final

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law

#: Faults that take a worker's heartbeats away for good, or for longer than a lease lasts.
LOSSES: Final = frozenset({"kill_worker", "lose_worker", "stop_worker"})

#: Seconds that a busy machine may add to a deadline.
PATIENCE_S: Final = 3.0

#: The part of a lease's time after which a heartbeat is due.
HEARTBEAT_PART: Final = 0.2


@law("rescue")
def rescue(history: History) -> Iterator[Finding]:
    """A lost lease goes back within its time and a heartbeat.

    Judged for workers that were killed or stopped while nothing else was broken; a deadline is stretched
    by what a busy machine may need.
    """
    ttl_s = history.begin.lease_ttl_s
    limit_s = ttl_s * (1.0 + HEARTBEAT_PART) + PATIENCE_S
    for fault in history.faults:
        if fault.kind not in LOSSES:
            continue
        others = [one for one in history.faults if one is not fault and one.kind not in LOSSES]
        if any(fault.utc - limit_s < other.utc < fault.utc + limit_s for other in others):
            continue
        for story in history.jobs.values():
            for granted in story.granted:
                result = story.result(granted.token)
                held = granted.worker == fault.target and granted.at < fault.at
                if not held or (result is not None and result.at < fault.at):
                    continue
                lost = next((one for one in story.attempts if one.token == granted.token), None)
                if lost is not None and lost.outcome == "expired" and lost.ended_at > fault.utc + limit_s:
                    yield Finding(
                        job=story.id,
                        sentence=f"waited {lost.ended_at - fault.utc:.1f} s for the end of a lost lease; "
                        f"{limit_s:.1f} s are allowed",
                        events=(granted, fault, lost),
                    )
