"""Keeps the head and the tail of a log that is read in pieces."""

from typing import Final

SHOWN_MAX: Final = 10_240
"""Characters of a log that are shown whole."""


class Excerpt:
    """Takes a log piece by piece, and holds a bounded part of it."""

    def __init__(self, shown_max: int = SHOWN_MAX) -> None:
        self._half = shown_max // 2
        self._head = ""
        self._tail = ""
        self._length = 0

    def add(self, piece: str) -> None:
        """Take the next piece."""
        self._length += len(piece)
        room = self._half - len(self._head)
        self._head += piece[:room]
        rest = piece[room:]
        if len(rest) >= self._half:
            self._tail = rest[-self._half :]
        elif rest:
            self._tail = (self._tail + rest)[-self._half :]

    def text(self, whole_at: str) -> str:
        """Return the log, or its first and last lines around a line that says how much is left out.

        Args:
            whole_at: Where the whole log is, for that line.
        """
        if self._length <= len(self._head) + len(self._tail):
            return self._head + self._tail
        head = self._head[: self._head.rfind("\n") + 1] or self._head + "\n"
        tail = self._tail[self._tail.find("\n") + 1 :] or self._tail
        left_out = self._length - len(head) - len(tail)
        return f"{head}--- {left_out:,} CHARACTERS LEFT OUT, ALL OF IT AT {whole_at} ---\n{tail}"
