"""The figures that the Immich controller shows on its /metrics, each with the server's name."""

from collections.abc import Collection, Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from callsheet_immich_agent.policy import QueueSeen

_REACHED: Final = Gauge(
    "callsheet_immich_reached", "1 while the newest look at the Immich server succeeded.", ["server"]
)
_LOOKS_FAILED: Final = Counter(
    "callsheet_immich_looks_failed", "Looks at the Immich server that failed.", ["server"]
)
_ACTIONS: Final = Counter(
    "callsheet_immich_actions",
    "What was asked of queues: pause, resume; and what came of it: done, refused, unknown.",
    ["server", "command", "outcome"],
)
_BACKLOG: Final = Gauge(
    "callsheet_immich_queue_backlog", "Jobs of a queue that have not started.", ["server", "queue"]
)
_ACTIVE: Final = Gauge("callsheet_immich_queue_active", "Jobs of a queue that run.", ["server", "queue"])
_OPEN: Final = Gauge("callsheet_immich_queue_open", "1 for a queue that is not paused.", ["server", "queue"])
_STALLED: Final = Gauge(
    "callsheet_immich_queue_stalled",
    "1 for a queue that was open for long and started nothing.",
    ["server", "queue"],
)


class Figures:
    """The figures of one server."""

    def __init__(self, server: str) -> None:
        """Begin with a server that was not reached yet."""
        self._server = server
        self.reached(well=False)
        _LOOKS_FAILED.labels(server)

    def reached(self, *, well: bool) -> None:
        """Show how the newest look went."""
        _REACHED.labels(self._server).set(well)

    def failed(self) -> None:
        """Count a look that failed."""
        self.reached(well=False)
        _LOOKS_FAILED.labels(self._server).inc()

    def acted(self, command: str, outcome: str) -> None:
        """Count what was asked of a queue."""
        _ACTIONS.labels(self._server, command, outcome).inc()

    def show(self, seen: Iterable[QueueSeen], stalled: Collection[str]) -> None:
        """Show what a look found, and no queue that is gone."""
        for gauge in (_BACKLOG, _ACTIVE, _OPEN, _STALLED):
            gauge.clear()
        for queue in seen:
            _BACKLOG.labels(self._server, queue.name).set(queue.backlog)
            _ACTIVE.labels(self._server, queue.name).set(queue.active)
            _OPEN.labels(self._server, queue.name).set(not queue.paused)
            _STALLED.labels(self._server, queue.name).set(queue.name in stalled)
