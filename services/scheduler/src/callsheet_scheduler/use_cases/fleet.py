"""The workers as an administrator sees them."""

from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.leadership import Leadership


class FleetView:
    """Reads the fleet from the leader's memory."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def workers(self) -> list[Worker]:
        """Return every worker that is connected or holds a lease, by identity."""
        workers = self._leadership.current().engine.fleet.workers
        return [workers[name] for name in sorted(workers)]

    def rules(self) -> Rules:
        """Return the limits in force."""
        return self._leadership.current().engine.rules
