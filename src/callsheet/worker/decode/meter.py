"""Tells the worker how far a child is: one byte for each percent, into a pipe that came with the call."""

import os
from contextlib import suppress
from typing import Final

_WHOLE: Final = 100


class Meter:
    """Writes at most one byte for each percent; what nobody reads any more is let go."""

    def __init__(self, fd: int | None) -> None:
        """Write to *fd*, or nowhere. The descriptor stays the caller's."""
        self._fd = fd
        self._said = 0

    def say(self, done: float, total: float | None) -> None:
        """Say that *done* of *total* is behind us; nothing where the total is not known."""
        if self._fd is None or not total:
            return
        percent = max(0, min(_WHOLE, int(done * _WHOLE / total)))
        if percent > self._said:
            self._said = percent
            with suppress(OSError):
                os.write(self._fd, bytes([percent]))
