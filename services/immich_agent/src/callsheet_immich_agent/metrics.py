"""The figures that the Immich controller shows on its /metrics."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from callsheet_immich_agent.policy import QueueSeen

REACHED: Final = Gauge("callsheet_immich_reached", "1 while the newest look at the Immich server succeeded.")
LOOKS_FAILED: Final = Counter("callsheet_immich_looks_failed", "Looks at the Immich server that failed.")
ACTIONS: Final = Counter(
    "callsheet_immich_actions",
    "What was asked of queues: pause, resume; and what came of it: done, refused, unknown.",
    ["command", "outcome"],
)
BACKLOG: Final = Gauge("callsheet_immich_queue_backlog", "Jobs of a queue that have not started.", ["queue"])
ACTIVE: Final = Gauge("callsheet_immich_queue_active", "Jobs of a queue that run.", ["queue"])
OPEN: Final = Gauge("callsheet_immich_queue_open", "1 for a queue that is not paused.", ["queue"])


def show(seen: Iterable[QueueSeen]) -> None:
    """Show what a look found, and no queue that is gone."""
    for gauge in (BACKLOG, ACTIVE, OPEN):
        gauge.clear()
    for queue in seen:
        BACKLOG.labels(queue.name).set(queue.backlog)
        ACTIVE.labels(queue.name).set(queue.active)
        OPEN.labels(queue.name).set(not queue.paused)
