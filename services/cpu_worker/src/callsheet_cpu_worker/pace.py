"""Says now and then how fast many files are done, and how long the rest takes."""

from dataclasses import dataclass, field
from typing import Final

SAID_EVERY_S: Final = 10.0
"""Seconds between two such lines."""


@dataclass(slots=True)
class Pace:
    """How fast it goes. Instants are monotonic seconds."""

    count: int
    """How many files there are."""
    began_at: float
    done: int = 0
    """Also what needed nothing, as far as it was so at the beginning."""
    _said_at: float = field(init=False)
    _needed_nothing: int = field(init=False)

    def __post_init__(self) -> None:
        self._said_at, self._needed_nothing = self.began_at, self.done

    @property
    def percent(self) -> int:
        """How much is done."""
        return self.done * 100 // max(1, self.count)

    def rate(self, now: float) -> float:
        """Return the files of a second."""
        return (self.done - self._needed_nothing) / max(1e-3, now - self.began_at)

    def due(self, now: float) -> str:
        """Return a line that is to be said *now*; empty where the last one is young."""
        if now - self._said_at < SAID_EVERY_S:
            return ""
        self._said_at = now
        rate = self.rate(now)
        left_s = (self.count - self.done) / rate if rate else 0.0
        return f"{self.done:,} of {self.count:,} files, {rate:.1f} files/s, {left_s:.0f} s left."
