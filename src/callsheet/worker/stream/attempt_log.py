"""The logs of attempts: stamped lines in, numbered chunks out, bounded."""

import re
from collections import deque
from typing import Final

from callsheet.v1.lease_service_pb2 import LeaseRef, LogChunk
from callsheet.worker.stream.commands import LeaseKey

CHUNK_BYTES_MAX: Final = 16 * 1024
"""Bytes of one chunk's text."""
LINE_BYTES_MAX: Final = 4 * 1024
"""Bytes of one line with its stamp; what is longer is cut."""
WAITING_BYTES_MAX: Final = 1024 * 1024
"""Bytes that wait to be sent, as they do while no scheduler answers; further lines are left out."""
LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of the whole log of an attempt; further lines are left out."""

#: Characters that steer a terminal, break lines, or turn the reading direction.
_TRICKS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


class AttemptLog:
    """Collects what one attempt says. Chunks are numbered as they are taken, so no number is missing."""

    __slots__ = ("_lease", "_left_out", "_lines", "_sequence", "_taken_bytes", "waiting_bytes")

    def __init__(self, lease: LeaseRef) -> None:
        self._lease = lease
        self._lines: deque[tuple[str, int]] = deque()
        self._sequence = 0
        self._taken_bytes = 0
        self._left_out = 0
        self.waiting_bytes = 0
        """Bytes that no chunk has taken yet."""

    def add(self, text: str, stamp: str) -> None:
        """Add the lines of *text*, each after *stamp*; characters that play tricks become U+FFFD."""
        for line in text.split("\n"):
            full = self.waiting_bytes >= WAITING_BYTES_MAX
            if full or self._taken_bytes + self.waiting_bytes >= LOG_BYTES_MAX:
                self._left_out += 1
            else:
                self._say_what_was_left_out(stamp)
                self._put(stamp, line)

    def close(self, text: str, stamp: str) -> None:
        """Add the attempt's last lines, which are never left out."""
        self._say_what_was_left_out(stamp)
        for line in text.split("\n"):
            self._put(stamp, line)

    def take(self) -> LogChunk | None:
        """Return the next chunk, or None when nothing waits."""
        if not self._lines:
            return None
        lines: list[str] = []
        room = CHUNK_BYTES_MAX
        while self._lines and self._lines[0][1] <= room:
            line, size = self._lines.popleft()
            lines.append(line)
            room -= size
        size_bytes = CHUNK_BYTES_MAX - room
        self.waiting_bytes -= size_bytes
        self._taken_bytes += size_bytes
        self._sequence += 1
        return LogChunk(lease=self._lease, sequence=self._sequence, text="".join(lines))

    def _say_what_was_left_out(self, stamp: str) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._put(stamp, f"({count} lines left out here: the log was full)")

    def _put(self, stamp: str, line: str) -> None:
        clean = _TRICKS.sub("\ufffd", line.rstrip("\r"))
        encoded = f"{stamp}{clean}".encode("utf-8", "replace")[: LINE_BYTES_MAX - 1]
        self._lines.append((encoded.decode("utf-8", "ignore") + "\n", len(encoded) + 1))
        self.waiting_bytes += len(encoded) + 1


class LogOutbox:
    """The log text of all attempts on its way to the scheduler, each attempt's in order.

    A chunk stays here until the scheduler says that it is kept; a new stream brings it again.
    """

    def __init__(self) -> None:
        self._talking: dict[LeaseKey, AttemptLog] = {}
        self._due: deque[AttemptLog] = deque()
        self._again: deque[LogChunk] = deque()
        self._sent: deque[tuple[int, LogChunk]] = deque()

    @property
    def has_due(self) -> bool:
        """Whether text should go with the next message, before any result."""
        return bool(self._due or self._again)

    @property
    def has_talk(self) -> bool:
        """Whether running attempts have said something."""
        return bool(self._talking)

    @property
    def kept_by(self) -> int:
        """The heartbeat whose answer will say that all text that was sent is kept; 0 for none to wait for."""
        return self._sent[-1][0] if self._sent else 0

    def talks(self, key: LeaseKey, log: AttemptLog) -> None:
        """Note that *log* has new text."""
        self._talking[key] = log

    def due(self) -> None:
        """Let everything said so far go with the next message."""
        self._due.extend(self._talking.values())
        self._talking.clear()

    def ended(self, key: LeaseKey) -> None:
        """Let what an attempt said go with the next message, since its result will."""
        log = self._talking.pop(key, None)
        if log is not None:
            self._due.append(log)

    def drop(self, key: LeaseKey) -> None:
        """Send nothing more of an attempt."""
        self._talking.pop(key, None)

    def take(self, room_bytes: int, heartbeat: int) -> list[LogChunk]:
        """Return chunks until *room_bytes* are full; *heartbeat* is the sequence of the next one."""
        taken: list[LogChunk] = []
        while self.has_due and room_bytes > 0:
            chunk = self._again.popleft() if self._again else self._due[0].take()
            if chunk is None:
                self._due.popleft()
                continue
            taken.append(chunk)
            self._sent.append((heartbeat, chunk))
            room_bytes -= chunk.ByteSize()
        return taken

    def kept(self, heartbeat: int) -> None:
        """Everything sent before that heartbeat is kept."""
        while self._sent and self._sent[0][0] <= heartbeat:
            self._sent.popleft()

    def again(self) -> None:
        """A new stream: what may not be kept goes first."""
        self._again.extendleft(chunk for _, chunk in reversed(self._sent))
        self._sent.clear()
