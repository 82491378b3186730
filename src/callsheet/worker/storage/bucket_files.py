"""Objects on their way: those that are read in parts, and what is made here until it is uploaded."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from callsheet.errors import CapacityError
from callsheet.worker.threads import check_wanted

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Fetched, and sent, at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketDraft:
    """A file on this machine without a name, which is uploaded when it is published."""

    fd: int
    upload: Callable[[int], None]

    def publish(self) -> None:
        """Upload the content.

        Raises:
            AttemptError: It could not be; nothing bears the name.
        """
        try:
            self.upload(self.fd)
        finally:
            os.close(self.fd)

    def abandon(self) -> None:
        """Let the content go."""
        os.close(self.fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReader:
    """An object of one entity tag; once it is replaced nothing more of it can be read."""

    size_bytes: int
    mtime_ns: int
    fetch: Callable[[int, int], bytes]
    """Returns the bytes from a place to another."""
    piece_bytes: int = 2 * 1024 * 1024
    rights: int = 0o644

    def read(self, start: int, length: int) -> bytes:
        """Return a part."""
        end = min(start + length, self.size_bytes)
        return self.fetch(start, end) if start < end else b""

    def close(self) -> None:
        """Do nothing: nothing is held between two parts."""


def write_at(fd: int, content: memoryview, start: int) -> None:
    """Write all of *content* into a copy.

    Raises:
        CapacityError: The scratch disk is full.
    """
    try:
        while content:
            count = os.pwrite(fd, content, start)
            content, start = content[count:], start + count
    except OSError as error:
        raise CapacityError(f"CALLSHEET_SCRATCH: {error.strerror}; make room") from error


def pieces(fd: int, size: int) -> Iterator[bytes]:
    """Yield a file in pieces, for as long as somebody wants them: an upload that is stopped is dropped."""
    for start in range(0, size, PIECE_BYTES):
        check_wanted()
        yield os.pread(fd, min(PIECE_BYTES, size - start), start)
