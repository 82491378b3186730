"""Keeps the uploads of one folder root: their records, and their bytes beside the place they are meant for.

Everything lies in the root itself, so that any gateway that shares it can go on. All of it blocks; call it by
`callsheet.worker.threads.in_thread`.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from callsheet.errors import BadInputError, CapacityError, StateError
from callsheet.worker.storage.beneath import checked_parts, make_folders, open_beneath
from callsheet.worker.storage.folder import FolderStore
from callsheet.worker.storage.store import as_attempt_error
from callsheet_gateway.uploads.names import numbered
from callsheet_gateway.uploads.records import Record

log = logging.getLogger(__name__)

INDEX: Final = ".uploads"
"""The hidden folder of the records, at the top of the root."""
DONE: Final = "done"
"""The folder in it of those that became originals."""
SUFFIX: Final = ".json"
RECORD_BYTES_MAX: Final = 64 * 1024
HASH_BYTES: Final = 1024 * 1024
NAMES_MAX: Final = 100_000
"""Files of one name, told apart by numbers."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An upload that is written down."""

    record: Record
    settled: bool
    """Whether it is an original, and its job is submitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """The bytes of an upload as they lie there."""

    size: int | None
    """None where there are none, under their hidden name."""
    changed_at: datetime


@dataclass(slots=True, kw_only=True)
class Writer:
    """The only one who writes to an upload, over all gateways, until it is closed."""

    fd: int
    floor_bytes: int
    shown: str

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return os.fstat(self.fd).st_size

    def append(self, content: bytes | bytearray) -> None:
        """Write at the end.

        Raises:
            CapacityError: The disk is full, or nearly; what fitted is there.
            AttemptError: The root is away.
        """
        disk = os.fstatvfs(self.fd)
        if disk.f_bavail * disk.f_frsize < self.floor_bytes + len(content):
            raise CapacityError(f"{self.shown}: the disk is full; make room, then go on with the upload")
        view, at = memoryview(content), self.size
        try:
            while view:
                written = os.pwrite(self.fd, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise as_attempt_error(error, self.shown) from error
        finally:
            view.release()

    def cut(self, size: int) -> None:
        """Forget what lies behind a place."""
        os.ftruncate(self.fd, size)

    def digest(self, size: int) -> str:
        """Return the SHA-256 of the first bytes."""
        whole = hashlib.sha256()
        for at in range(0, size, HASH_BYTES):
            whole.update(os.pread(self.fd, min(HASH_BYTES, size - at), at))
        return whole.hexdigest()

    def close(self) -> None:
        """Let others write."""
        os.close(self.fd)


class Arrivals:
    """The uploads of one root."""

    def __init__(self, root: str, store: FolderStore, *, floor_bytes: int) -> None:
        """Take the root.

        Args:
            root: Its name.
            store: Its files.
            floor_bytes: Free space that uploads leave on its disk.
        """
        self.root = root
        self._store = store
        self._floor_bytes = floor_bytes

    def begin(self, record: Record) -> None:
        """Write down a new upload and make its file.

        Raises:
            AttemptError: There is no room, no right, or nothing can lie there.
        """
        wanted = self._floor_bytes + record.length
        if self._store.room_bytes(wanted) < wanted:
            raise CapacityError(
                f"root {self.root!r}: its disk has no room for {record.length:,} bytes more; make room"
            )
        *folders, name = checked_parts(record.hidden_path)
        with self._told(record.at(record.name)), self._folder(folders, make=True) as folder_fd:
            self.write(record)
            os.close(open_beneath(folder_fd, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))

    def write(self, record: Record) -> None:
        """Write down what is known of an upload that is not settled."""
        name = f"{uuid4().hex}.new"
        with self._told(INDEX), self._folder((INDEX,), make=True) as fd:
            new = open_beneath(fd, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with open(new, "wb") as file:  # noqa: PTH123 -- a descriptor has no path
                    file.write(record.model_dump_json().encode())
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(name, record.id + SUFFIX, src_dir_fd=fd, dst_dir_fd=fd)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name, dir_fd=fd)
                raise
            os.fsync(fd)

    def settle(self, record: Record) -> None:
        """Note that an upload is an original, and its job is submitted."""
        with self._told(INDEX), self._folder((INDEX,), make=True) as fd:
            done = make_folders(os.dup(fd), (DONE,))
            try:
                with suppress(FileNotFoundError):  # another gateway did
                    name = record.id + SUFFIX
                    os.rename(name, name, src_dir_fd=fd, dst_dir_fd=done)
            finally:
                os.close(done)

    def find(self, upload_id: str) -> Found | None:
        """Return what is written down of an upload; None where nothing is."""
        for folder in ((INDEX,), (INDEX, DONE)):
            with suppress(FileNotFoundError), self._told(INDEX), self._folder(folder) as fd:
                return Found(record=_record(fd, upload_id + SUFFIX), settled=len(folder) > 1)
        return None

    def open_ones(self) -> Iterator[Record]:
        """Yield the uploads that are not settled. What holds no record is passed over, and said."""
        for name in self._names((INDEX,)):
            try:
                found = self.find(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None
            except BadInputError as error:
                log.warning("a record of an upload is passed over", extra={"reason": error.message})
                continue
            if found is not None and not found.settled:
                yield found.record

    def arrived(self, record: Record) -> Arrived:
        """Return how much of an upload is there."""
        *folders, name = checked_parts(record.hidden_path)
        try:
            with self._told(record.hidden_path), self._folder(folders) as fd:
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return Arrived(size=None, changed_at=record.created_at)
        return Arrived(size=facts.st_size, changed_at=datetime.fromtimestamp(facts.st_mtime, UTC))

    def writer(self, record: Record) -> Writer | None:
        """Return the one who may write to an upload; None while somebody else does.

        Raises:
            FileNotFoundError: Its bytes are gone.
        """
        *folders, name = checked_parts(record.hidden_path)
        with self._told(record.hidden_path), self._folder(folders) as folder_fd:
            fd = open_beneath(folder_fd, name, os.O_RDWR)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_same(os.fstat(fd), os.stat(name, dir_fd=folder_fd, follow_symlinks=False)):
                    os.close(fd)  # it was put in its place meanwhile
                    return None
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
        shown = f"{self.root}/{record.at(record.name)}"
        return Writer(fd=fd, floor_bytes=self._floor_bytes, shown=shown)

    def place(self, record: Record, writer: Writer) -> Record:
        """Give a whole upload its name, or that with a number where something has it; returns where it lies.

        A death between any two steps does no harm: doing it again ends it.
        """
        os.fsync(writer.fd)
        for number in count(1):
            name = numbered(record.name, number)
            if number > NAMES_MAX:
                raise StateError(f"{self.root}/{record.at(record.name)}: too many files have this name")
            if self._is_taken(record, name):
                continue
            placed = record.model_copy(update={"path": record.at(name)})
            self.write(placed)
            if not self._store.place(record.hidden_path, placed.path):
                return placed
        raise AssertionError

    def drop(self, record: Record) -> None:
        """Remove an upload that is not settled."""
        self._store.remove(record.hidden_path)
        with self._told(INDEX), self._folder((INDEX,), make=True) as fd, suppress(FileNotFoundError):
            os.unlink(record.id + SUFFIX, dir_fd=fd)

    def forget(self, before: datetime) -> None:
        """Remove records of what was settled before an instant, and halves of records."""
        for folder in ((INDEX,), (INDEX, DONE)):
            for name in self._names(folder):
                if folder == (INDEX,) and name.endswith(SUFFIX):
                    continue
                with suppress(OSError), self._folder(folder) as fd:
                    facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if facts.st_mtime < before.timestamp():
                        os.unlink(name, dir_fd=fd)

    def _is_taken(self, record: Record, name: str) -> bool:
        """Say whether another file has a name; a link to the same one does not count."""
        hidden = checked_parts(record.hidden_path)[-1]
        with self._told(record.folder), self._folder(checked_parts(record.folder)) as fd:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return not _is_same(there, os.stat(hidden, dir_fd=fd, follow_symlinks=False))

    def _names(self, folder: tuple[str, ...]) -> list[str]:
        try:
            with self._told(INDEX), self._folder(folder) as fd, os.scandir(fd) as entries:
                return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    @contextmanager
    def _folder(self, parts: Sequence[str], *, make: bool = False) -> Generator[int]:
        root_fd = self._store.open_root()
        if make:
            fd = make_folders(root_fd, parts)
        else:
            try:
                fd = open_beneath(root_fd, "/".join(parts), _FOLDER)
            finally:
                os.close(root_fd)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _told(self, path: str) -> Generator[None]:
        """Tell what the system says as the failure that it means; a missing file stays one."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise as_attempt_error(error, f"{self.root}/{path}") from error


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _record(folder_fd: int, name: str) -> Record:
    with open(open_beneath(folder_fd, name, os.O_RDONLY), "rb") as file:  # noqa: PTH123 -- a descriptor
        content = file.read(RECORD_BYTES_MAX)
    try:
        return Record.model_validate_json(content)
    except ValidationError as error:
        raise BadInputError(f"{INDEX}/{name}: holds no record of an upload; remove it") from error
