"""What a root can do, be it a folder or a bucket: files read by descriptor, made aside, and given their name.

All of it blocks; call it by `callsheet.worker.threads.in_thread`.
"""

import errno
import os
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError
from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.worker.lease import Lease

FILE_LIMIT: Final = 2_000_000
"""Files that one walk returns."""
PATHS_DEEP: Final = 64
"""Folders inside one another that a walk enters."""

_OUT_OF_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_OF_THE_NAME: Final = {
    errno.ENAMETOOLONG,
    errno.ENXIO,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EROFS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """How large a file is, and what changes with its content."""

    size_bytes: int
    mtime_ns: int
    """When it was last changed; in a bucket the part below a second comes of the entity tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file as it can be told from others, also of other roots."""

    entry: Hashable
    """Of two paths the same where they are one name in one folder."""
    file: Hashable
    """Of two paths the same where they are names of one file."""
    size_bytes: int
    mtime_ns: int
    """As `FileFacts` has it."""


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
class Piece:
    """A part of a file."""

    content: bytes
    """Shorter than asked for only at the end of the file."""
    size_bytes: int
    """Of the whole file."""


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


class Reader(Protocol):
    """A file that is read in parts, all of them of one content. Whoever opened it closes it."""

    @property
    def piece_bytes(self) -> int:
        """How much one part should be."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        ...

    @property
    def mtime_ns(self) -> int:
        """As `FileFacts` has it."""
        ...

    @property
    def rights(self) -> int:
        """Who may do what with a copy of it, as for ``os.chmod``."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """Return a part; shorter than asked for only at the end of the file.

        Raises:
            TransientError: The file changed since it was opened, or its root went away.
        """
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class VanishedError(BadInputError):
    """The file is gone."""


class Draft(Protocol):
    """A file in the making. It ends with a publication or is abandoned, once."""

    @property
    def fd(self) -> int:
        """Open for reading and writing."""
        ...

    def publish(self) -> None:
        """Make the content durable under its name; the draft is finished afterwards in any case.

        Raises:
            AttemptError: It could not; nothing bears the name.
        """
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


class Store(Protocol):
    """The files of one root. Paths are relative to it; each method checks them."""

    def facts(self, path: str) -> FileFacts:
        """Return what is known of a file without reading it.

        Raises:
            VanishedError: There is no such file.
            BadInputError: It is no regular file, or the path leads out of the root.
            TransientError: The root is away.
        """
        ...

    def open_file(self, path: str) -> OpenedFile:
        """Open a regular file for reading at any place.

        Raises:
            VanishedError: There is no such file.
            BadInputError: It is no regular file, or the path leads out of the root.
            CapacityError: There is no room for a copy of it.
            TransientError: The root is away.
        """
        ...

    def reader(self, path: str) -> Reader:
        """Open a file to be read in parts; one in a bucket is not copied.

        Raises:
            AttemptError: As `facts`.
        """
        ...

    def read(self, path: str, start: int, length: int) -> Piece:
        """Read a part of a file.

        Raises:
            AttemptError: As `open_file`.
        """
        ...

    def is_folder(self, path: str) -> bool:
        """Say whether something lies below *path*; False also where there is nothing.

        Raises:
            BadInputError: The path leads out of the root.
            TransientError: The root is away.
        """
        ...

    def is_empty(self) -> bool:
        """Say whether the root holds nothing, as the mount point of an unmounted disk does."""
        ...

    def walk(self, folder: str) -> Iterator[FoundFile | PassedOver]:
        """Yield the files in *folder* and below, no hidden ones.

        Raises:
            BadInputError: There is no such folder, or it leads out of the root.
            TransientError: The root is away, or went away.
        """
        ...

    def names_in(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, hidden ones too; none where there is no such folder."""
        ...

    def hidden(self, is_wanted: Callable[[str], bool]) -> Iterator[str]:
        """Yield the paths of all files whose names are wanted; none where the root is away."""
        ...

    def seen(self, path: str) -> Seen | None:
        """Look at what lies at *path*; None where nothing does.

        Raises:
            BadInputError: It is no regular file, or the path leads out of the root.
            TransientError: The root is away.
        """
        ...

    def give_name(self, path: str, wanted: str, lease: Lease) -> None:
        """Let a whole file be found at *wanted* too, in one step and never over another file.

        Where a root knows no second names it is found there alone. What a death in the middle leaves bears
        the name of the *lease*.

        Raises:
            TransientError: Something lies there, or the root is away.
            AttemptError: The root is full, or there is no such folder.
        """
        ...

    def remove(self, path: str, *, durably: bool = False) -> bool:
        """Remove a file, and what was begun under its name; returns whether there was one.

        *durably*: it does not come back when the machine loses its power.

        Raises:
            AttemptError: It could not be removed.
        """
        ...

    def begin(self, path: str, lease: Lease, *, wanted: str) -> Draft:
        """Begin a file that will be at *path*.

        Args:
            path: The name when it is published; bears the lease's tag.
            lease: Whose file it is.
            wanted: The path that it is asked for at; empty for none.

        Raises:
            BadInputError: Something lies at *wanted*, or nothing can lie at *path*.
            CapacityError: There is no room.
            TransientError: The root is away.
        """
        ...

    def place(self, staged: str, wanted: str) -> str:
        """Give a whole file the name that was asked for, never over another file.

        Doing it again does no harm, also after a death between any two steps.

        Args:
            staged: Where it lies.
            wanted: In the same folder.

        Returns:
            Why it cannot lie there; empty when it does.

        Raises:
            AttemptError: The root is away or full; it may be possible later.
        """
        ...

    def room_bytes(self, wanted_bytes: int) -> int:
        """Return how much is free where drafts are made; kept copies make way for what is wanted."""
        ...

    def link(self, path: str) -> str | None:
        """Return an address at which clients can fetch a file without the gateway, if there is one."""
        ...


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


def naming_failure(error: OSError, path: str) -> AttemptError:
    """Return what it means for a job that a file could not be given the name *path* (with its root)."""
    if isinstance(error, FileExistsError):
        return TransientError(f"{path}: something came to lie there just now")
    return as_attempt_error(error, path)


def content_identity(store: Store, path: str) -> str:
    """Return the quick identity of a file.

    Raises:
        AttemptError: As `Store.read`.
    """
    head = store.read(path, 0, END_BYTES)
    tail = store.read(path, max(0, head.size_bytes - END_BYTES), END_BYTES)
    return quick_identity(head.size_bytes, head.content, tail.content)


def shown(path: str) -> str:
    """Return a path as it can be printed."""
    return path.encode("utf-8", "replace").decode()
