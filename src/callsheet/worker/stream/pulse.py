"""Heartbeats: when the next is due, and what an answer proves."""

from collections import deque
from math import inf
from typing import Final

WELCOME_DEADLINE_S: Final = 10.0
"""How long the scheduler may take to answer a hello."""
ORPHAN_LIMIT_S: Final = 900.0
"""How long a worker without a word from the scheduler goes on, until a welcome says otherwise."""


class Pulse:
    """The heartbeats of one session, numbered across its streams. Instants are monotonic seconds."""

    __slots__ = ("_due_at", "_interval_s", "_sent", "_sequence", "lease_ttl_s", "lease_until")

    def __init__(self, now: float, *, lease_ttl_s: float) -> None:
        self._due_at = now
        self._interval_s = lease_ttl_s
        self._sequence = 0
        self._sent: deque[tuple[int, float]] = deque()
        self.lease_ttl_s = lease_ttl_s
        """How long the scheduler lets this worker be silent."""
        self.lease_until = now
        """Until then the scheduler gives no lease of this worker to another."""

    @property
    def next_sequence(self) -> int:
        """The number of the heartbeat that comes next."""
        return self._sequence + 1

    def begin(self, now: float, *, opened_at: float, interval_s: float, lease_ttl_s: float) -> None:
        """A new stream, whose hello was sent at *opened_at*, is welcome; the first heartbeat is due."""
        self._due_at = now
        self._interval_s = interval_s
        self._sent.clear()
        self.lease_ttl_s = lease_ttl_s
        self.lease_until = opened_at + lease_ttl_s

    def due(self, now: float) -> bool:
        """Return whether a heartbeat should be sent."""
        return now >= self._due_at

    def hasten(self) -> None:
        """Let a heartbeat be due at once."""
        self._due_at = -inf

    def beat(self, now: float) -> int:
        """Send one: return its number."""
        self._sequence += 1
        self._due_at = now + self._interval_s
        self._sent.append((self._sequence, now))
        return self._sequence

    def answered(self, sequence: int) -> bool:
        """Take an answer; False where it is not to a heartbeat of this stream."""
        known = False
        while self._sent and self._sent[0][0] <= sequence:
            self.lease_until = self._sent.popleft()[1] + self.lease_ttl_s
            known = True
        return known
