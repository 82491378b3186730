"""Renames files and never replaces one."""

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Final

_NOREPLACE: Final = 1


def give_name(old_fd: int, old: str, new_fd: int, new: str) -> None:
    """Rename a file and never replace one, by what the file system offers.

    Args:
        old_fd: The folder that it lies in.
        old: Its name there.
        new_fd: The folder that it goes to, perhaps the same.
        new: Its name there.

    Raises:
        OSError: As for ``os.link``; FileExistsError where *new* is taken.
    """
    answer = _renameat2(old_fd, os.fsencode(old), new_fd, os.fsencode(new), _NOREPLACE)
    number = ctypes.get_errno()
    if answer == 0:
        return
    if number not in {errno.EINVAL, errno.ENOSYS}:
        raise OSError(number, os.strerror(number), new)
    link_name(old_fd, old, new_fd, new)


def link_name(old_fd: int, old: str, new_fd: int, new: str) -> None:
    """Rename a file and never replace one where the file system knows no such rename, in two steps.

    Raises:
        OSError: As for ``os.link``.
    """
    os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
    os.fsync(new_fd)
    os.unlink(old, dir_fd=old_fd)


def without_renameat2(*_: object) -> int:
    """Answer as a kernel that does not know the call."""
    ctypes.set_errno(errno.ENOSYS)
    return -1


_renameat2: Final[Callable[..., int]] = getattr(
    ctypes.CDLL(None, use_errno=True), "renameat2", without_renameat2
)
