"""Goes through what lies below a folder, by descriptor: links lead nowhere, and loops cannot be."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from callsheet.worker.lease import PARTIAL_SUFFIX
from callsheet.worker.storage.store import PATHS_DEEP, FoundFile, PassedOver, shown

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


def walk(fd: int, folder: str, depth: int) -> Iterator[FoundFile | PassedOver]:
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
        entered = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    except FileNotFoundError:
        return
    except OSError as error:
        yield PassedOver(path=path, reason=error.strerror or "cannot be read")
        return
    yield from walk(entered, path, depth - 1)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def below(fd: int, folder: str, depth: int, is_wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the paths of wanted files below the folder behind *fd*; closes *fd*."""
    try:
        with os.scandir(fd) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth:
                with suppress(OSError):
                    entered = os.open(entry.name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                    yield from below(entered, f"{folder}{entry.name}/", depth - 1, is_wanted)
            elif is_wanted(entry.name) and entry.is_file(follow_symlinks=False):
                yield f"{folder}{entry.name}"
    finally:
        os.close(fd)
