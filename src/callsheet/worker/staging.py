"""Outputs that appear whole or not at all: written aside, made durable, then given their name."""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from callsheet.errors import BadInputError
from callsheet.worker.beneath import checked_parts, open_beneath
from callsheet.worker.library import DEPTH_LIMIT, PARTIAL_SUFFIX, Roots, as_attempt_error
from callsheet.worker.threads import in_thread

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_PARTIAL: Final = re.compile(r".+\.([0-9a-f]{16})\.partial")
_TAG: Final = re.compile(r"[0-9a-f]{16}")


def derivative_path(folder: str, item_id: str, recipe: str, tag: str, suffix: str) -> str:
    """Return where a derivative lies in its root, such as ``thumbnails/4f/<item>-<recipe>.<tag>.jpg``.

    The last two digits of the id spread the files over 256 folders; its first ones are an instant.

    Args:
        folder: The first folder, such as ``thumbnails``.
        item_id: The item's id.
        recipe: The recipe's name.
        tag: The lease's ``file_tag``.
        suffix: With its dot.
    """
    return f"{folder}/{item_id[-2:]}/{item_id}-{recipe}.{tag}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedOutput:
    """A file in the making, named for its lease. Publish or discard it."""

    root: str
    path: str
    """The final path, relative to the root."""
    fd: int
    """Open for reading and writing."""
    folder_fd: int
    partial_name: str

    @property
    def shown(self) -> str:
        """The root and the path, for messages."""
        return f"{self.root}/{self.path}"

    async def write(self, content: bytes) -> None:
        """Add *content* at the end.

        Raises:
            CapacityError: The disk is full.
        """
        try:
            await in_thread(lambda: _write_all(self.fd, content))
        except OSError as error:
            raise as_attempt_error(error, self.shown) from error

    async def publish(self) -> None:
        """Make the content durable and give it its final name; check the content before.

        The output is finished afterwards, whether it succeeded or not.

        Raises:
            CapacityError: The disk is full.
        """
        try:
            await in_thread(self._publish)
        except OSError as error:
            raise as_attempt_error(error, self.shown) from error

    async def discard(self) -> None:
        """Remove what was written, instead of a publication."""
        await in_thread(self.abandon)

    def _publish(self) -> None:
        name = self.path.rpartition("/")[2]
        try:
            os.fsync(self.fd)
            os.rename(self.partial_name, name, src_dir_fd=self.folder_fd, dst_dir_fd=self.folder_fd)
            os.fsync(self.folder_fd)
        except OSError:
            self._unlink()
            raise
        finally:
            self._close()

    def abandon(self) -> None:
        """Remove what was written; blocks for a moment."""
        self._unlink()
        self._close()

    def _unlink(self) -> None:
        with suppress(OSError):
            os.unlink(self.partial_name, dir_fd=self.folder_fd)

    def _close(self) -> None:
        os.close(self.fd)
        os.close(self.folder_fd)


async def stage(roots: Roots, root: str, path: str, tag: str) -> StagedOutput:
    """Begin a file in a writable root; makes its folders.

    Args:
        roots: The named roots.
        root: A writable one.
        path: The final path; its last name must hold *tag*, so that no other lease can write it.
        tag: The lease's ``file_tag``.

    Raises:
        BadInputError: The root is read-only, or the path leads out of it.
        CapacityError: The disk is full.
    """
    roots.require_writable(root)
    if not _TAG.fullmatch(tag) or tag not in path.rpartition("/")[2]:
        raise BadInputError(f"{root}/{path}: the name must hold the lease's tag {tag!r}")
    try:
        return await in_thread(lambda: _stage(roots, root, path, tag), StagedOutput.abandon)
    except OSError as error:
        raise as_attempt_error(error, f"{root}/{path}") from error


async def publish(roots: Roots, root: str, path: str, tag: str, content: bytes) -> None:
    """Write a whole file under its final name: the short form for what fits in memory.

    Raises:
        BadInputError: The root is read-only, or the path leads out of it.
        CapacityError: The disk is full.
    """
    output = await stage(roots, root, path, tag)
    try:
        await output.write(content)
    except BaseException:
        await output.discard()
        raise
    await output.publish()


async def sweep(roots: Roots, live_tags: Collection[str]) -> int:
    """Remove unfinished files of leases that are not live from all writable roots; returns how many.

    Args:
        roots: The named roots; those that are not there now are passed over.
        live_tags: The ``file_tag`` of every lease that may still write.
    """
    return await in_thread(lambda: _sweep(roots, frozenset(live_tags)))


def _stage(roots: Roots, root: str, path: str, tag: str) -> StagedOutput:
    *folders, name = checked_parts(path)
    partial_name = f"{name.replace(f'.{tag}', '')}.{tag}{PARTIAL_SUFFIX}"
    folder_fd = _make_folders(roots.open_root(root), folders)
    try:
        fd = open_beneath(folder_fd, partial_name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    except BaseException:
        os.close(folder_fd)
        raise
    return StagedOutput(root=root, path=path, fd=fd, folder_fd=folder_fd, partial_name=partial_name)


def _make_folders(fd: int, folders: list[str]) -> int:
    """Return a descriptor of the folder below *fd*, made where it is missing; closes *fd*."""
    for name in folders:
        try:
            try:
                os.mkdir(name, 0o755, dir_fd=fd)
            except FileExistsError:
                pass
            else:
                os.fsync(fd)
            below = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _sweep(roots: Roots, live_tags: frozenset[str]) -> int:
    removed = 0
    for name, settings in roots.items():
        if settings.writable and settings.path.is_dir():
            removed += sum(_sweep_folder(roots.open_root(name), live_tags, DEPTH_LIMIT))
    return removed


def _sweep_folder(fd: int, live_tags: frozenset[str], depth: int) -> Iterator[int]:
    """Yield 1 for each file removed below the folder behind *fd*; closes *fd*."""
    try:
        with os.scandir(fd) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth:
                try:
                    below = os.open(entry.name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                except OSError:
                    continue
                yield from _sweep_folder(below, live_tags, depth - 1)
            else:
                yield _sweep_file(fd, entry, live_tags)
    finally:
        os.close(fd)


def _sweep_file(fd: int, entry: os.DirEntry[str], live_tags: frozenset[str]) -> int:
    match = _PARTIAL.fullmatch(entry.name)
    if not match or match[1] in live_tags or not entry.is_file(follow_symlinks=False):
        return 0
    try:
        os.unlink(entry.name, dir_fd=fd)
    except FileNotFoundError:
        return 0
    return 1
