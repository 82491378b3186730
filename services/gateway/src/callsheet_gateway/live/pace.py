"""Decides which changes are told at once and which are held back, so that no key is told of too often."""

from collections import deque
from typing import Final, Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

WINDOW_S: Final = 1.0


class Pace(Generic[KeyT, ValueT]):
    """Lets at most *passes_max* values of a key pass in any second.

    Of the values that are held back the newest is kept. What is remembered is of the last second.
    """

    def __init__(self, passes_max: int) -> None:
        self._passes_max = passes_max
        self._passed: dict[KeyT, deque[float]] = {}
        """By key, that of the latest pass last: the instants of its last passes."""
        self._held: dict[KeyT, ValueT] = {}

    def offer(self, key: KeyT, value: ValueT, now: float) -> bool:
        """Return whether *value* passes; otherwise it is held back in the place of an older one."""
        if key not in self._held and self._may_pass(key, now):
            self._pass(key, now)
            return True
        self._held[key] = value
        return False

    def released(self, now: float) -> list[ValueT]:
        """Return the held values that pass by now, and forget what is older than a second."""
        due = [key for key in self._held if self._may_pass(key, now)]
        values = [self._held.pop(key) for key in due]
        for key in due:
            self._pass(key, now)
        while self._passed and now - next(iter(self._passed.values()))[-1] >= WINDOW_S:
            del self._passed[next(iter(self._passed))]
        return values

    def _may_pass(self, key: KeyT, now: float) -> bool:
        passed = self._passed.get(key)
        return passed is None or len(passed) < self._passes_max or now - passed[0] >= WINDOW_S

    def _pass(self, key: KeyT, now: float) -> None:
        passed = self._passed.pop(key, None) or deque(maxlen=self._passes_max)
        passed.append(now)
        self._passed[key] = passed
