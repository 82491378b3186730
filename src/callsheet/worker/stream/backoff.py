"""How long to wait before trying again: longer each time, and never long for the lease."""

from typing import Final

BACKOFF_S: Final = (0.1, 5.0)
"""The first and the longest wait before a new stream or a repeated call; it doubles in between."""
BACKOFF_PER_TTL: Final = 1 / 6
"""That wait is never longer than this part of the lease TTL, which is all that a new leader grants."""


class Backoff:
    """The waits before new streams."""

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures = 0

    def forget(self) -> None:
        """It works again: the next wait is the shortest."""
        self._failures = 0

    def next_s(self, *, lease_ttl_s: float, jitter: float) -> float:
        """Return how long to wait; *jitter*, 0 to 1, keeps workers from coming back together."""
        longest_s = min(BACKOFF_S[1], lease_ttl_s * BACKOFF_PER_TTL)
        wait_s = min(longest_s, BACKOFF_S[0] * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return wait_s * (0.5 + jitter / 2)
