"""Puts committed outputs where they were asked for, never over a file, and tells what became of each."""

import asyncio
import ctypes
import errno
import os
from collections.abc import Callable, Iterable
from typing import Final

from callsheet.errors import AttemptError, BadInputError
from callsheet.v1.lease_service_pb2 import Output, Placed
from callsheet.worker.beneath import checked_parts, open_beneath
from callsheet.worker.library import Roots, as_attempt_error

AGAIN_S: Final = 10.0
"""How long to wait where a root is away or full, before the next try."""
OutputKey = tuple[str, str, str]
"""Job, root, path."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_NOREPLACE: Final = 1


class Placer:
    """Places outputs beside the loop. What it is told twice it does once."""

    def __init__(self, roots: Roots, tell: Callable[[Placed], None]) -> None:
        self._roots = roots
        self._tell = tell
        self._under_way: dict[OutputKey, asyncio.Task[None]] = {}

    def take(self, outputs: Iterable[Output]) -> None:
        """Put these in their places soon."""
        for output in outputs:
            key = (output.lease.job_id, output.root, output.path)
            if key not in self._under_way:
                self._under_way[key] = asyncio.create_task(self._place(key, output))

    async def close(self) -> None:
        """Leave to others what is not placed."""
        for work in list(self._under_way.values()):
            work.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _place(self, key: OutputKey, output: Output) -> None:
        try:
            self._tell(Placed(output=output, problem=await self._problem(output)))
        finally:
            del self._under_way[key]

    async def _problem(self, output: Output) -> str:
        while True:
            try:
                return await asyncio.to_thread(place, self._roots, output)
            except AttemptError:
                await asyncio.sleep(AGAIN_S)


def place(roots: Roots, output: Output) -> str:
    """Put one output in its place; returns why it cannot lie there, empty when it does.

    Doing it again does no harm, also after a death between any two steps.

    Raises:
        AttemptError: The root is away or full; it may be possible later.
    """
    shown = f"{output.root}/{output.path}"
    try:
        roots.require_writable(output.root)
        return _placed(roots, output, shown)
    except BadInputError as error:
        return error.message
    except OSError as error:
        raise as_attempt_error(error, shown) from error


def _placed(roots: Roots, output: Output, shown: str) -> str:
    *folders, whole = checked_parts(output.staged_path)
    *wanted_folders, wanted = checked_parts(output.path)
    if folders != wanted_folders:
        return f"{shown}: the file lies in another folder, {output.staged_path}"
    root_fd = roots.open_root(output.root)
    try:
        folder_fd = open_beneath(root_fd, "/".join(folders), _FOLDER)
    finally:
        os.close(root_fd)
    try:
        return _renamed(folder_fd, whole, wanted, shown)
    finally:
        os.close(folder_fd)


def _renamed(folder_fd: int, whole: str, wanted: str, shown: str) -> str:
    """Give *whole* the name *wanted*, unless that is taken."""
    try:
        give_name(folder_fd, whole, wanted)
    except FileNotFoundError:
        if _identity(folder_fd, wanted) is None:
            return f"{shown}: the file that was made for it is gone"
        return ""  # done before
    except FileExistsError:
        if _identity(folder_fd, wanted) != _identity(folder_fd, whole):
            return f"{shown}: something else lies there; the file stays beside it as {whole}"
        os.unlink(whole, dir_fd=folder_fd)  # a death came between the two steps of a link
    os.fsync(folder_fd)
    return ""


def give_name(folder_fd: int, old: str, new: str) -> None:
    """Rename a file and never replace one, by what the file system offers.

    Raises:
        OSError: As for ``os.link``; FileExistsError where *new* is taken.
    """
    answer = _renameat2(folder_fd, os.fsencode(old), folder_fd, os.fsencode(new), _NOREPLACE)
    number = ctypes.get_errno()
    if answer == 0:
        return
    if number not in {errno.EINVAL, errno.ENOSYS}:
        raise OSError(number, os.strerror(number), new)
    link_name(folder_fd, old, new)


def link_name(folder_fd: int, old: str, new: str) -> None:
    """Rename a file and never replace one where the file system knows no such rename, in two steps.

    Raises:
        OSError: As for ``os.link``.
    """
    os.link(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
    os.fsync(folder_fd)
    os.unlink(old, dir_fd=folder_fd)


def without_renameat2(*_: object) -> int:
    """Answer as a kernel that does not know the call."""
    ctypes.set_errno(errno.ENOSYS)
    return -1


def _identity(folder_fd: int, name: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


_renameat2: Final[Callable[..., int]] = getattr(
    ctypes.CDLL(None, use_errno=True), "renameat2", without_renameat2
)
