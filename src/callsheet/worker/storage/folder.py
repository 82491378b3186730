"""A root that is a folder: every path is resolved below it, by descriptor."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.errors import BadInputError, TransientError
from callsheet.worker.lease import PARTIAL_SUFFIX, Lease
from callsheet.worker.storage.beneath import checked_parts, make_folders, open_beneath
from callsheet.worker.storage.folder_walk import below, walk
from callsheet.worker.storage.renaming import give_name
from callsheet.worker.storage.store import (
    PATHS_DEEP,
    FileFacts,
    FoundFile,
    OpenedFile,
    PassedOver,
    Piece,
    Seen,
    as_attempt_error,
    naming_failure,
)

_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_LINKLESS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """An open file; one that is written to meanwhile is not read on."""

    file: OpenedFile
    shown: str
    piece_bytes: int = 256 * 1024

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self.file.size_bytes

    @property
    def mtime_ns(self) -> int:
        """When it was last changed."""
        return self.file.mtime_ns

    @property
    def rights(self) -> int:
        """Who may do what with it."""
        return stat.S_IMODE(os.fstat(self.file.fd).st_mode) & 0o777

    def read(self, start: int, length: int) -> bytes:
        """Return a part."""
        try:
            content = _read_at(self.file.fd, start, length)
            facts = os.fstat(self.file.fd)
        except OSError as error:
            raise as_attempt_error(error, self.shown) from error
        if (facts.st_size, facts.st_mtime_ns) != (self.size_bytes, self.mtime_ns):
            raise TransientError(f"{self.shown}: it changed while it was read")
        return content

    def close(self) -> None:
        """Close the file."""
        self.file.close()


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

    def reader(self, path: str) -> FileReader:
        """Open a file to be read in parts."""
        return FileReader(file=self.open_file(path), shown=f"{self._name}/{path}")

    def read(self, path: str, start: int, length: int) -> Piece:
        """Read a part of a file."""
        with self.open_file(path) as file:
            try:
                content = _read_at(file.fd, start, length)
            except OSError as error:
                raise as_attempt_error(error, f"{self._name}/{path}") from error
            return Piece(content=content, size_bytes=os.fstat(file.fd).st_size)

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
        """Say whether the folder holds nothing that a scan would look at."""
        root_fd = self.open_root()
        try:
            with os.scandir(root_fd) as entries:
                return all(entry.name.startswith(".") for entry in entries)
        finally:
            os.close(root_fd)

    def walk(self, folder: str) -> Iterator[FoundFile | PassedOver]:
        """Yield the regular files below, by name, no hidden ones, no symbolic links."""
        start = "/".join(checked_parts(folder))
        yield from walk(self._open(start, _FOLDER), start, PATHS_DEEP)

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
            yield from below(fd, "", PATHS_DEEP, is_wanted)

    def seen(self, path: str) -> Seen | None:
        """Look at what lies at *path*; letters of another case may be the same name."""
        *folders, name = checked_parts(path)
        try:
            root_fd = self.open_root()
            try:
                folder_fd = open_beneath(root_fd, "/".join(folders), _FOLDER)
            finally:
                os.close(root_fd)
            try:
                facts, above = os.stat(name, dir_fd=folder_fd, follow_symlinks=False), os.fstat(folder_fd)
            finally:
                os.close(folder_fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise as_attempt_error(error, f"{self._name}/{path}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise BadInputError(f"{self._name}/{path}: is no regular file; name another path")
        return Seen(
            entry=(above.st_dev, above.st_ino, name.casefold()),
            file=(facts.st_dev, facts.st_ino),
            size_bytes=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
        )

    def give_name(self, path: str, wanted: str, lease: Lease) -> None:  # noqa: ARG002 -- nothing is left
        """Link a file; where there are no links, rename it."""
        *folders, name = checked_parts(path)
        *wanted_folders, wanted_name = checked_parts(wanted)
        old_fd = self._open("/".join(folders), _FOLDER)
        try:
            new_fd = self._open("/".join(wanted_folders), _FOLDER)
            try:
                _link(old_fd, name, new_fd, wanted_name)
                os.fsync(new_fd)
            finally:
                os.close(new_fd)
        except OSError as error:
            raise naming_failure(error, f"{self._name}/{wanted}") from error
        finally:
            os.close(old_fd)

    def remove(self, path: str, *, durably: bool = False) -> bool:
        """Remove a file."""
        *folders, name = checked_parts(path)
        root_fd = self.open_root()
        try:
            folder_fd = open_beneath(root_fd, "/".join(folders), _FOLDER)
            try:
                os.unlink(name, dir_fd=folder_fd)
                if durably:
                    os.fsync(folder_fd)
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

    def room_bytes(self, wanted_bytes: int) -> int:  # noqa: ARG002 -- nothing here makes way for it
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


def _read_at(fd: int, start: int, length: int) -> bytes:
    """Return a part of a file, shorter only at its end."""
    content = bytearray()
    while len(content) < length:
        part = os.pread(fd, length - len(content), start + len(content))
        if not part:
            break
        content += part
    return bytes(content)


def _link(old_fd: int, old: str, new_fd: int, new: str) -> None:
    """Give a file a second name and never replace one; where there are no links, another name."""
    try:
        os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _LINKLESS:
            raise
        give_name(old_fd, old, new_fd, new)


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
