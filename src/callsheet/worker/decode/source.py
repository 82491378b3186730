"""A file behind a descriptor that was passed in: read at any place, never opened by name."""

import io
import os
from typing import Final

from typing_extensions import Buffer, override

from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.media.kinds import HEAD_BYTES

_BUFFER_BYTES: Final = 128 * 1024


class Source:
    """The bytes of one file. The descriptor stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size_bytes = os.fstat(fd).st_size
        self.head = self.read_at(0, HEAD_BYTES)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the bytes at *offset*, fewer at the end of the file."""
        return os.pread(self._fd, length, offset)

    def identity(self) -> str:
        """Return the quick identity of what the file holds now."""
        tail_at = max(0, self.size_bytes - END_BYTES)
        return quick_identity(self.size_bytes, self.read_at(0, END_BYTES), self.read_at(tail_at, END_BYTES))

    def stream(self) -> io.BufferedReader:
        """Return the file as an object to read from, with a position of its own."""
        return io.BufferedReader(_AtFile(self._fd, self.size_bytes), _BUFFER_BYTES)


class _AtFile(io.RawIOBase):
    """Reads by offset, so that nobody else's position matters."""

    name: Final = "media"  # no decoder may guess from a name

    def __init__(self, fd: int, size_bytes: int) -> None:
        super().__init__()
        self._source_fd = fd
        self._size_bytes = size_bytes
        self._at = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        count = os.preadv(self._source_fd, [memoryview(buffer)], self._at)
        self._at += count
        return count

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        if start + offset < 0:
            raise OSError(22, "seek before the beginning")
        self._at = start + offset
        return self._at

    @override
    def tell(self) -> int:
        return self._at
