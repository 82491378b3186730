"""A root that is a folder: every path is resolved below it, by descriptor."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.errors import BadInputError, TransientError
from callsheet.worker.beneath import checked_parts, make_folders, open_beneath
from callsheet.worker.lease import PARTIAL_SUFFIX, Lease
from callsheet.worker.renaming import give_name
from callsheet.worker.store import (
    PATHS_DEEP,
    FileFacts,
    FoundFile,
    OpenedFile,
    PassedOver,
    Piece,
    as_attempt_error,
    shown,
)

_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDraft:
    """A file beside its place, under a hidden name of its lease."""

    fd: int
    folder_fd: int
    partial_name: str
    name: str
    shown: str

    def publish(self) -> None:
        """Sync the content and give it its name.

        Raises:
            AttemptError: As `as_attempt_error` tells; the disk is full, for one.
        """
        try:
            os.fsync(self.fd)
            os.rename(self.partial_name, self.name, src_dir_fd=self.folder_fd, dst_dir_fd=self.folder_fd)
            os.fsync(self.folder_fd)
        except OSError as error:
            self._unlink()
            raise as_attempt_error(error, self.shown) from error
        finally:
            self._close()

    def abandon(self) -> None:
        """Remove what was written."""
        self._unlink()
        self._close()

    def _unlink(self) -> None:
        with suppress(OSError):
            os.unlink(self.partial_name, dir_fd=self.folder_fd)

    def _close(self) -> None:
        os.close(self.fd)
        os.close(self.folder_fd)


class FolderStore:
    """The files below one folder."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path

    def open_root(self) -> int:
        """Return a descriptor of the folder; the caller closes it.

        Raises:
            TransientError: The folder is not there or cannot be read now, as when a disk is unmounted.
        """
        try:
            return os.open(self._path, _FOLDER | os.O_CLOEXEC)
        except OSError as error:
            raise TransientError(
                f"root {self._name!r}: its folder {self._path} cannot be read ({error.strerror}); "
                "mount it or mend its rights"
            ) from error

    def facts(self, path: str) -> FileFacts:
        """Return what is known of a file."""
        with self.open_file(path) as file:
            return FileFacts(size_bytes=file.size_bytes, mtime_ns=file.mtime_ns)

    def open_file(self, path: str) -> OpenedFile:
        """Open a regular file for reading."""
        fd = self._open(path, _READ)
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            os.close(fd)
            raise BadInputError(f"{self._name}/{path}: is no regular file")
        return OpenedFile(fd=fd, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)

    def read(self, path: str, start: int, length: int) -> Piece:
        """Read a part of a file."""
        with self.open_file(path) as file:
            content = bytearray()
            try:
                while len(content) < length:
                    part = os.pread(file.fd, length - len(content), start + len(content))
                    if not part:
                        break
                    content += part
            except OSError as error:
                raise as_attempt_error(error, f"{self._name}/{path}") from error
            return Piece(content=bytes(content), size_bytes=os.fstat(file.fd).st_size)

    def is_folder(self, path: str) -> bool:
        """Say whether *path* is a folder."""
        root_fd = self.open_root()
        try:
            fd = open_beneath(root_fd, path, os.O_PATH)
        except OSError:
            return False
        finally:
            os.close(root_fd)
        try:
            return stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)

    def is_empty(self) -> bool:
        """Say whether the folder holds nothing."""
        root_fd = self.open_root()
        try:
            with os.scandir(root_fd) as entries:
                return next(iter(entries), None) is None
        finally:
            os.close(root_fd)

    def walk(self, folder: str) -> Iterator[FoundFile | PassedOver]:
        """Yield the regular files below, by name, no hidden ones, no symbolic links."""
        start = "/".join(checked_parts(folder))
        yield from _walk(self._open(start, _FOLDER), start, PATHS_DEEP)

    def names_in(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        root_fd = self.open_root()
        try:
            fd = open_beneath(root_fd, folder, _FOLDER)
        except OSError:
            return []
        finally:
            os.close(root_fd)
        try:
            with os.scandir(fd) as entries:
                return [entry.name for entry in entries]
        finally:
            os.close(fd)

    def hidden(self, is_wanted: Callable[[str], bool]) -> Iterator[str]:
        """Yield the paths of files whose names are wanted."""
        try:
            fd = self.open_root()
        except TransientError:
            return
        with suppress(OSError):
            yield from _below(fd, "", PATHS_DEEP, is_wanted)

    def remove(self, path: str) -> bool:
        """Remove a file."""
        *folders, name = checked_parts(path)
        root_fd = self.open_root()
        try:
            folder_fd = open_beneath(root_fd, "/".join(folders), _FOLDER)
            try:
                os.unlink(name, dir_fd=folder_fd)
            finally:
                os.close(folder_fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise as_attempt_error(error, f"{self._name}/{path}") from error
        finally:
            os.close(root_fd)
        return True

    def begin(self, path: str, lease: Lease, *, wanted: str) -> FolderDraft:
        """Begin a file; makes its folders."""
        try:
            return self._begin(path, lease, wanted)
        except OSError as error:
            raise as_attempt_error(error, f"{self._name}/{wanted or path}") from error

    def _begin(self, path: str, lease: Lease, wanted: str) -> FolderDraft:
        *folders, name = checked_parts(path)
        partial_name = lease.name_for((wanted or name).rpartition("/")[2], PARTIAL_SUFFIX)
        folder_fd = make_folders(self.open_root(), folders)
        try:
            if wanted:
                _require_free(folder_fd, wanted, f"{self._name}/{wanted}")
            fd = open_beneath(folder_fd, partial_name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        except BaseException:
            os.close(folder_fd)
            raise
        return FolderDraft(
            fd=fd,
            folder_fd=folder_fd,
            partial_name=partial_name,
            name=name,
            shown=f"{self._name}/{wanted or path}",
        )

    def place(self, staged: str, wanted: str) -> str:
        """Rename a file, unless its name is taken."""
        *folders, whole = checked_parts(staged)
        try:
            folder_fd = self._open("/".join(folders), _FOLDER)
            try:
                return _renamed(folder_fd, whole, checked_parts(wanted)[-1], f"{self._name}/{wanted}")
            finally:
                os.close(folder_fd)
        except OSError as error:
            raise as_attempt_error(error, f"{self._name}/{wanted}") from error

    def room_bytes(self) -> int:
        """Return what is free on the folder's disk."""
        root_fd = self.open_root()
        try:
            disk = os.fstatvfs(root_fd)
        finally:
            os.close(root_fd)
        return disk.f_bavail * disk.f_frsize

    def link(self, path: str) -> str | None:  # noqa: ARG002 -- no file of a folder has an address
        """Return None: the gateway serves files of folders."""
        return None

    def _open(self, path: str, flags: int) -> int:
        root_fd = self.open_root()
        try:
            return open_beneath(root_fd, path, flags)
        except OSError as error:
            raise as_attempt_error(error, f"{self._name}/{path}") from error
        finally:
            os.close(root_fd)


def _walk(fd: int, folder: str, depth: int) -> Iterator[FoundFile | PassedOver]:
    """Yield what lies below the folder behind *fd*, and close it."""
    try:
        with os.scandir(fd) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            yield from _visit(fd, folder, entry, depth)
    except OSError as error:
        yield PassedOver(path=shown(folder), reason=error.strerror or "cannot be read")
    finally:
        os.close(fd)


def _visit(fd: int, folder: str, entry: os.DirEntry[str], depth: int) -> Iterator[FoundFile | PassedOver]:
    path = f"{folder}/{entry.name}" if folder else entry.name
    if entry.name.startswith(".") or entry.name.endswith(PARTIAL_SUFFIX) or entry.is_symlink():
        return
    if not _is_utf8(entry.name):
        yield PassedOver(path=shown(path), reason="its name is not UTF-8; rename it")
    elif entry.is_dir(follow_symlinks=False):
        yield from _enter(fd, path, entry.name, depth)
    elif entry.is_file(follow_symlinks=False):
        yield from _measured(path, entry)


def _measured(path: str, entry: os.DirEntry[str]) -> Iterator[FoundFile]:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    yield FoundFile(path=path, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)


def _enter(fd: int, path: str, name: str, depth: int) -> Iterator[FoundFile | PassedOver]:
    if depth == 0:
        yield PassedOver(path=path, reason=f"lies deeper than {PATHS_DEEP} folders")
        return
    try:
        below = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    except FileNotFoundError:
        return
    except OSError as error:
        yield PassedOver(path=path, reason=error.strerror or "cannot be read")
        return
    yield from _walk(below, path, depth - 1)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(fd: int, folder: str, depth: int, is_wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the paths of wanted files below the folder behind *fd*; closes *fd*."""
    try:
        with os.scandir(fd) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth:
                with suppress(OSError):
                    below = os.open(entry.name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                    yield from _below(below, f"{folder}{entry.name}/", depth - 1, is_wanted)
            elif is_wanted(entry.name) and entry.is_file(follow_symlinks=False):
                yield f"{folder}{entry.name}"
    finally:
        os.close(fd)


def _require_free(folder_fd: int, path: str, told: str) -> None:
    try:
        os.stat(path.rpartition("/")[2], dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise BadInputError(f"{told}: there is something at this path already; name another")


def _renamed(folder_fd: int, whole: str, wanted: str, told: str) -> str:
    """Give *whole* the name *wanted*, unless that is taken."""
    try:
        give_name(folder_fd, whole, folder_fd, wanted)
    except FileNotFoundError:
        if _identity(folder_fd, wanted) is None:
            return f"{told}: the file that was made for it is gone"
        return ""  # done before
    except FileExistsError:
        if _identity(folder_fd, wanted) != _identity(folder_fd, whole):
            return f"{told}: something else lies there; the file stays beside it as {whole}"
        os.unlink(whole, dir_fd=folder_fd)  # a death came between the two steps of a link
    os.fsync(folder_fd)
    return ""


def _identity(folder_fd: int, name: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino
