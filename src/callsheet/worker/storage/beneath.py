"""Opens what lies below a folder, by descriptor, so that no path can lead out of it."""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import Final

from callsheet.errors import BadInputError

_OPENAT2: Final = 437
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
_RESOLVE: Final = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
_AS_PATH: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATH_LIMIT: Final = 4096
"""The longest relative path, in bytes."""

_libc = ctypes.CDLL(None, use_errno=True)


def checked_parts(path: str) -> tuple[str, ...]:
    """Return the names in a relative path; none for the empty path, which is the folder itself.

    Raises:
        BadInputError: The path is absolute, climbs by ``..``, holds NUL, or is too long.
    """
    if path.startswith("/"):
        raise BadInputError(
            f"{_shown(path)}: the path must be relative to its root; remove the leading slash"
        )
    if "\x00" in path:
        raise BadInputError(f"{_shown(path)}: the path holds a NUL character")
    if len(path.encode("utf-8", "surrogateescape")) > PATH_LIMIT:
        raise BadInputError(f"{_shown(path[:80])}…: the path is longer than {PATH_LIMIT} bytes")
    parts = tuple(part for part in path.split("/") if part not in {"", "."})
    if ".." in parts:
        raise BadInputError(
            f"{_shown(path)}: the path must not hold '..'; name the file by its path in the root"
        )
    return parts


def open_beneath(folder_fd: int, path: str, flags: int, mode: int = 0o600) -> int:
    """Open *path* below the folder behind *folder_fd*, following no symbolic link on the way.

    Args:
        folder_fd: A descriptor of the folder.
        path: Relative, with forward slashes.
        flags: As for ``os.open``; close-on-exec is added.
        mode: Of a file that is created.

    Raises:
        BadInputError: The path is not acceptable, or leads over a symbolic link.
        OSError: The system's answer otherwise, such as FileNotFoundError.
    """
    relative = "/".join(checked_parts(path)) or "."
    wanted = flags | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        if has_openat2():
            return _openat2(folder_fd, relative, wanted, mode)
        return open_by_walking(folder_fd, relative, wanted, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV} or _is_link(folder_fd, relative, error):
            raise BadInputError(
                f"{_shown(path)}: leads over a symbolic link, which is not followed; "
                "put the file itself in the root"
            ) from error
        raise


def make_folders(fd: int, folders: Sequence[str]) -> int:
    """Return a descriptor of the folder below the one behind *fd*, made where it is missing; closes *fd*."""
    for name in folders:
        try:
            try:
                os.mkdir(name, 0o755, dir_fd=fd)
            except FileExistsError:
                pass
            else:
                os.fsync(fd)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def open_by_walking(folder_fd: int, relative: str, flags: int, mode: int) -> int:
    """Open a checked path name by name: for kernels before 5.6, which have no openat2."""
    *folders, last = relative.split("/")
    current = os.dup(folder_fd)
    try:
        for name in folders:
            following = os.open(name, _AS_PATH, dir_fd=current)
            os.close(current)
            current = following
        return os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=current)
    finally:
        os.close(current)


@cache
def has_openat2() -> bool:
    """Say whether the kernel resolves paths below a folder itself."""
    fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        os.close(_openat2(fd, ".", os.O_PATH | os.O_CLOEXEC, 0))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _openat2(folder_fd: int, relative: str, flags: int, mode: int) -> int:
    how = struct.pack("=QQQ", flags, mode if flags & os.O_CREAT else 0, _RESOLVE)
    name = os.fsencode(relative)
    number = errno.EAGAIN
    for _ in range(8):
        fd = int(_libc.syscall(_OPENAT2, ctypes.c_int(folder_fd), name, how, ctypes.c_size_t(len(how))))
        number = ctypes.get_errno()
        if fd >= 0:
            return fd
        if number not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(number, os.strerror(number), relative)


def _is_link(folder_fd: int, relative: str, error: OSError) -> bool:
    """Say whether ENOTDIR came from a link: a walk asks for folders, and a link is none."""
    if error.errno != errno.ENOTDIR:
        return False
    seen = ""
    for name in relative.split("/"):
        seen = f"{seen}/{name}" if seen else name
        try:
            os.readlink(seen, dir_fd=folder_fd)
        except OSError:
            continue
        return True
    return False


def _shown(path: str) -> str:
    return repr(path.encode("utf-8", "replace").decode())
