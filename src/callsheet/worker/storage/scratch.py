"""Files without a name, for content on its way from or to a bucket: they are gone when nobody holds them."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from callsheet.errors import CapacityError
from callsheet.worker.storage.copies import Copies
from callsheet.worker.threads import pause

LOOK_S: Final = 0.2
"""Seconds between two looks whether somebody who waits for a turn still wants it."""
_MIB: Final = 1 << 20
_WITHOUT_NAME: Final = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC


class Scratch:
    """A folder for such files. Since they have no name, a worker that is killed leaves none."""

    def __init__(
        self, folder: Path, *, floor_mib: int = 1024, transfers: int = 4, copies_mib: int = 8192
    ) -> None:
        """Take a folder, which is made when it is needed.

        Args:
            folder: On a disk that has room for the largest originals.
            floor_mib: What has to stay free there.
            transfers: Copies from and to buckets at once.
            copies_mib: How much of it may be copies that no job has open.
        """
        self.folder = folder
        self.copies = Copies(copies_mib * _MIB)
        self._floor_mib = floor_mib
        self._turns = threading.BoundedSemaphore(transfers)
        self._room = threading.Lock()

    def file(self, size_bytes: int = 0) -> int:
        """Return a descriptor of a new file that has room for so many bytes.

        Raises:
            CapacityError: There is no room, or no such folder can be made.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._room:  # two that look at the same time must not both find the same room
                return self._file(size_bytes)
        except OSError as error:
            raise CapacityError(
                f"CALLSHEET_SCRATCH {self.folder} cannot be used: {error.strerror}; mend it, or name another"
            ) from error

    def _file(self, size_bytes: int) -> int:
        self._check_room(size_bytes)
        fd = os.open(self.folder, _WITHOUT_NAME, 0o600)
        try:
            if size_bytes:
                os.posix_fallocate(fd, 0, size_bytes)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_room(self, size_bytes: int) -> None:
        free = self.room_bytes(size_bytes + self._floor_mib * _MIB)
        if size_bytes and free - size_bytes < self._floor_mib * _MIB:
            raise CapacityError(
                f"CALLSHEET_SCRATCH {self.folder}: {free // _MIB:,} MiB are free, {-(-size_bytes // _MIB):,} "
                f"MiB are needed for a copy and {self._floor_mib:,} MiB have to stay free; make room"
            )

    def room_bytes(self, wanted_bytes: int) -> int:
        """Return what is free on its disk, after kept copies have made way for so many bytes."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (free := self._free_bytes()) < wanted_bytes and self.copies.let_go():
            pass
        return free

    def _free_bytes(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait until a transfer may go on beside the others.

        Raises:
            AttemptCancelledError: Nobody waits for it any more.
        """
        while not self._turns.acquire(blocking=False):
            pause(LOOK_S)
        try:
            yield
        finally:
            self._turns.release()
