"""Why a worker takes no leases, and how long what it runs may go on."""

from enum import Enum, auto
from math import inf
from typing import Final

from callsheet.worker.stream.commands import StopReason

LEAVE_GRACE_S: Final = 10.0
"""Beyond a drain's own grace: how long attempts may take to end and results to be acknowledged."""


class DrainCause(Enum):
    """Who drains the worker."""

    ADMINISTRATOR = auto()
    """It stays connected, idle, until it is let work again."""
    LEAVING = auto()
    """It was told to end, and leaves when nothing is left to do."""


class Drains:
    """The drains in force. Instants are monotonic seconds."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[DrainCause, float] = {}

    def __bool__(self) -> bool:
        return bool(self._until)

    @property
    def leaving(self) -> bool:
        """Whether the worker takes no leases by its own will."""
        return DrainCause.LEAVING in self._until

    @property
    def hand_back_at(self) -> float:
        """When what still runs is handed back; infinite for never."""
        return min(self._until.values(), default=inf)

    @property
    def leave_by(self) -> float:
        """When what still runs is handed back so that the worker can leave; infinite where it need not."""
        return self._until.get(DrainCause.LEAVING, inf)

    def asks(self, now: float) -> StopReason | None:
        """Return what is asked of attempts; one that has a limit yields where it can keep a checkpoint."""
        limit = self.hand_back_at
        if now >= limit:
            return StopReason.DRAIN
        return None if limit == inf else StopReason.HANDED_ON

    def begin(self, cause: DrainCause, until: float) -> None:
        """Drain; what runs may go on *until* then."""
        self._until[cause] = until

    def end(self, cause: DrainCause) -> None:
        """Drain for that cause no more."""
        self._until.pop(cause, None)
