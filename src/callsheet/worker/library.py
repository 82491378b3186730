"""The named roots: every path is resolved below its root, by descriptor."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from typing_extensions import override

from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError
from callsheet.service.settings import RootSettings
from callsheet.worker.beneath import checked_parts, open_beneath

PARTIAL_SUFFIX: Final = ".partial"
"""Ends the names of files that are being written."""
DEPTH_LIMIT: Final = 64
"""Folders inside one another that a walk enters."""
FILE_LIMIT: Final = 2_000_000
"""Files that one walk returns."""

_OUT_OF_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_OF_THE_NAME: Final = {
    errno.ENAMETOOLONG,
    errno.ENXIO,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EROFS,
}
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file that a walk came by."""

    path: str
    """Relative to the root."""
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A file or folder that a walk could not enter or name; what lies below it is unknown."""

    path: str
    """Relative to the root, safe to print."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """A file open for reading. Closes its descriptor when its ``with`` ends."""

    fd: int
    size_bytes: int
    mtime_ns: int

    def close(self) -> None:
        """Close the descriptor, where no ``with`` does."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VanishedError(BadInputError):
    """The file is gone."""


class Roots(Mapping[str, RootSettings]):
    """The named roots that this process reaches."""

    def __init__(self, settings: Mapping[str, RootSettings]) -> None:
        self._settings = dict(settings)

    @override
    def __getitem__(self, name: str) -> RootSettings:
        try:
            return self._settings[name]
        except KeyError:
            known = ", ".join(sorted(self._settings)) or "none"
            raise BadInputError(f"root {name!r}: this worker does not reach it; it reaches {known}") from None

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._settings

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    @override
    def __len__(self) -> int:
        return len(self._settings)

    def open_root(self, name: str) -> int:
        """Return a descriptor of the root's folder; the caller closes it.

        Raises:
            TransientError: The folder is not there or cannot be read now, as when a disk is unmounted.
        """
        path = self[name].path
        try:
            return os.open(path, _FOLDER | os.O_CLOEXEC)
        except OSError as error:
            raise TransientError(
                f"root {name!r}: its folder {path} cannot be read ({error.strerror}); "
                "mount it or mend its rights"
            ) from error

    def open_file(self, root: str, path: str) -> OpenedFile:
        """Open a regular file for reading.

        Raises:
            BadInputError: There is no such file, it is no regular file, or the path leads out of the root.
        """
        root_fd = self.open_root(root)
        try:
            fd = open_beneath(root_fd, path, _READ)
        except OSError as error:
            raise as_attempt_error(error, f"{root}/{path}") from error
        finally:
            os.close(root_fd)
        return _checked_file(fd, f"{root}/{path}")

    def is_folder(self, root: str, path: str) -> bool:
        """Say whether *path* is a folder in *root*; False also where there is nothing.

        Raises:
            BadInputError: The path leads out of the root.
        """
        root_fd = self.open_root(root)
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

    def is_empty(self, root: str) -> bool:
        """Say whether the root's folder holds nothing, as the mount point of an unmounted disk does."""
        root_fd = self.open_root(root)
        try:
            with os.scandir(root_fd) as entries:
                return next(iter(entries), None) is None
        finally:
            os.close(root_fd)

    def walk(self, root: str, folder: str = "") -> Iterator[FoundFile | PassedOver]:
        """Yield the regular files in *folder* and below, by name, no hidden ones, no symbolic links.

        Raises:
            BadInputError: There is no such folder, it leads out of the root, or it holds too many files.
        """
        start = "/".join(checked_parts(folder))
        root_fd = self.open_root(root)
        try:
            fd = open_beneath(root_fd, start, _FOLDER)
        except OSError as error:
            raise as_attempt_error(error, f"{root}/{start}") from error
        finally:
            os.close(root_fd)
        for count, entry in enumerate(_walk(fd, start, DEPTH_LIMIT)):
            if count >= FILE_LIMIT:
                raise BadInputError(
                    f"{root}/{start}: holds more than {FILE_LIMIT:,} files; scan its folders one by one"
                )
            yield entry

    def remove(self, root: str, path: str) -> bool:
        """Remove a file of a writable root; returns whether there was one.

        Raises:
            BadInputError: The root is read-only or the path leads out of it.
        """
        self.require_writable(root)
        *folders, name = checked_parts(path)
        root_fd = self.open_root(root)
        try:
            folder_fd = open_beneath(root_fd, "/".join(folders), _FOLDER)
            try:
                os.unlink(name, dir_fd=folder_fd)
            finally:
                os.close(folder_fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise as_attempt_error(error, f"{root}/{path}") from error
        finally:
            os.close(root_fd)
        return True

    def require_writable(self, root: str) -> None:
        """Refuse a root that is only read.

        Raises:
            BadInputError: The root is read-only.
        """
        if not self[root].writable:
            raise BadInputError(
                f"root {root!r}: is read-only here; set its writable to true, or name another root"
            )


def as_attempt_error(error: OSError, path: str) -> AttemptError:
    """Return the failure of a job that *error*, met at *path* (root and relative path), stands for."""
    said = error.strerror or str(error)
    match error:
        case FileNotFoundError():
            return VanishedError(f"{path}: there is no such file; scan its folder again")
        case PermissionError():
            return BadInputError(f"{path}: the worker may not open it; give its user the right to")
        case OSError(errno=number) if number in _OUT_OF_ROOM:
            return CapacityError(f"{path}: {said}; make room")
        case OSError(errno=number) if number in _OF_THE_NAME:
            return BadInputError(f"{path}: {said}")
        case _:
            return TransientError(f"{path}: {said}")


def _checked_file(fd: int, path: str) -> OpenedFile:
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        raise BadInputError(f"{path}: is no regular file")
    return OpenedFile(fd=fd, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)


def _walk(fd: int, folder: str, depth: int) -> Iterator[FoundFile | PassedOver]:
    """Yield what lies below the folder behind *fd*, and close it."""
    try:
        with os.scandir(fd) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            yield from _visit(fd, folder, entry, depth)
    except OSError as error:
        yield PassedOver(path=_shown(folder), reason=error.strerror or "cannot be read")
    finally:
        os.close(fd)


def _visit(fd: int, folder: str, entry: os.DirEntry[str], depth: int) -> Iterator[FoundFile | PassedOver]:
    path = f"{folder}/{entry.name}" if folder else entry.name
    if entry.name.startswith(".") or entry.name.endswith(PARTIAL_SUFFIX) or entry.is_symlink():
        return
    if not _is_utf8(entry.name):
        yield PassedOver(path=_shown(path), reason="its name is not UTF-8; rename it")
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
        yield PassedOver(path=path, reason=f"lies deeper than {DEPTH_LIMIT} folders")
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


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()
