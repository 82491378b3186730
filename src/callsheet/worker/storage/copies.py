"""Copies of what lies in buckets, kept for the next job that wants the same: nameless and bounded."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from callsheet.worker.threads import pause

LOOK_S: Final = 0.1
"""Seconds between two looks whether somebody else's copy is there."""
COPIES_MAX: Final = 256
"""Copies that are kept, since each holds a descriptor."""


class CopyKey(NamedTuple):
    """One content of one object, as its server names it."""

    root: str
    path: str
    etag: str
    version: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    fd: int
    size_bytes: int
    changed_ns: int
    """The file's ctime when it was whole: nobody can set that, so it tells whether a decoder meddled."""


class Copies:
    """The copies of one process. Safe in threads; what another process keeps is its own.

    A copy is never used but under the entity tag that the server tells at the moment it is asked for.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Keep copies of at most so many bytes together; 0 keeps none."""
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[CopyKey, _Copy] = OrderedDict()
        self._under_way: set[CopyKey] = set()
        self._lock = threading.Lock()

    def open(self, key: CopyKey, make: Callable[[], int]) -> int:
        """Return a descriptor for reading of a copy; it is made if there is none, by one caller at a time.

        Args:
            key: Of the object, as the server tells now. Under an empty or weak entity tag nothing is kept.
            make: Returns a descriptor of a whole copy, which is closed here.

        Raises:
            AttemptCancelledError: Nobody waits for it any more.
        """
        if not key.etag or key.etag.startswith("W/") or key.size_bytes > self._limit_bytes:
            return _handed_out(make())
        while True:
            with self._lock:
                fd = self._found(key)
                if fd is None and key not in self._under_way:
                    self._under_way.add(key)
                    break
            if fd is not None:
                return fd
            pause(LOOK_S)
        try:
            made = make()
            with self._lock:
                return self._keep(key, made)
        finally:
            with self._lock:
                self._under_way.discard(key)

    def let_go(self) -> bool:
        """Give up the copy that was wanted the longest time ago; returns whether there was one.

        Its room is free when its last reader has closed it.
        """
        with self._lock:
            return self._let_go()

    def _found(self, key: CopyKey) -> int | None:
        copy = self._kept.get(key)
        if copy is None:
            return None
        now = os.fstat(copy.fd)
        if (now.st_size, now.st_ctime_ns) != (copy.size_bytes, copy.changed_ns):
            os.close(self._kept.pop(key).fd)
            return None
        self._kept.move_to_end(key)
        return _reopened(copy.fd)

    def _keep(self, key: CopyKey, made: int) -> int:
        try:
            fd = _reopened(made)
        except BaseException:
            os.close(made)
            raise
        for other in [one for one in self._kept if (one.root, one.path) == (key.root, key.path)]:
            os.close(self._kept.pop(other).fd)  # its content has passed
        while len(self._kept) >= COPIES_MAX or self._bytes() + key.size_bytes > self._limit_bytes:
            self._let_go()
        changed_ns = os.fstat(made).st_ctime_ns
        self._kept[key] = _Copy(fd=made, size_bytes=key.size_bytes, changed_ns=changed_ns)
        return fd

    def _bytes(self) -> int:
        return sum(copy.size_bytes for copy in self._kept.values())

    def _let_go(self) -> bool:
        if not self._kept:
            return False
        os.close(self._kept.popitem(last=False)[1].fd)
        return True


def _reopened(fd: int) -> int:
    """Return another descriptor of the same file, for reading alone."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def _handed_out(fd: int) -> int:
    try:
        return _reopened(fd)
    finally:
        os.close(fd)
