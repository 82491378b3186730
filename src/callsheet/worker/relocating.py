"""Moves a file to another folder or root by steps of which each can be the last: beginning again ends it."""

import errno
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from hashlib import blake2b
from typing import Final

from callsheet.errors import AttemptError, BadInputError, TransientError
from callsheet.service.settings import BucketSettings
from callsheet.worker.context import JobContext
from callsheet.worker.lease import Lease
from callsheet.worker.storage.beneath import checked_parts, make_folders, open_beneath
from callsheet.worker.storage.library import Roots, as_attempt_error
from callsheet.worker.storage.renaming import give_name
from callsheet.worker.storage.staging import StagedOutput, kept_files, stage_kept
from callsheet.worker.storage.store import Reader, Seen, content_identity, naming_failure
from callsheet.worker.threads import check_wanted, in_thread

SLICE_BYTES: Final = 64 << 20
"""Copied at once, between two looks at whether the attempt is to end."""
_WRITTEN_PERCENT: Final = 80
"""The progress that the last byte of a copy stands for; it is still to be read again."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY

Reached = Callable[[str], None]
"""Told of every step that has taken effect."""


def unheard(_: str) -> None:
    """Hear of a step, and forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a file lies, or is to lie."""

    root: str
    path: str

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{self.root}/{self.path}"

    @property
    def folder(self) -> str:
        """Relative to the root."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A file, and where it is to go."""

    source: Place
    target: Place
    identity: str
    """The quick identity of its content."""


class Standing(Enum):
    """What lies where."""

    HERE = auto()
    """It lies where it was, and nothing at the target."""
    TWICE = auto()
    """It lies at both: an earlier attempt ended in between."""
    THERE = auto()
    """It lies at the target alone."""
    TAKEN = auto()
    """Something else lies at the target."""
    GONE = auto()
    """It lies nowhere."""


def look(roots: Roots, move: Move, job_id: str, *, again: bool) -> Standing:
    """Say what lies where.

    Args:
        roots: The named roots.
        move: The move.
        job_id: The job, whose copy may lie beside the target.
        again: Whether an earlier attempt may have ended midway.

    Raises:
        AttemptError: A root is away, or something on the way cannot be read.
    """
    source, target = _seen(roots, move.source), _seen(roots, move.target)
    if target is None:
        return Standing.GONE if source is None else Standing.HERE
    if source is None:
        return Standing.THERE if _identity(roots, move.target) == move.identity else Standing.GONE
    ours = source.entry != target.entry and (
        source.file == target.file or _is_copy(roots, move, job_id, source, target, again=again)
    )
    return Standing.TWICE if ours else Standing.TAKEN


def check_content(roots: Roots, move: Move) -> None:
    """Refuse a file that is not what the library knows.

    Raises:
        BadInputError: It is another one, or cannot be opened.
    """
    if _identity(roots, move.source) != move.identity:
        raise BadInputError(
            f"{move.source.shown}: the file changed since it was scanned; scan its folder again"
        )


def within_one_bucket(roots: Roots, move: Move) -> bool:
    """Say whether the server can copy the object by itself."""
    return move.source.root == move.target.root and _in_bucket(roots, move.target)


def rename(roots: Roots, move: Move, reached: Reached) -> bool:
    """Rename the file; False where it has to be copied: to another file system, from or to a bucket.

    Raises:
        AttemptError: It cannot be.
    """
    if _in_bucket(roots, move.source) or _in_bucket(roots, move.target):
        return False
    with _folder(roots, move.source) as old, _folder(roots, move.target, make=True) as new:
        try:
            give_name(old, move.source.name, new, move.target.name)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise naming_failure(error, move.target.shown) from error
        reached("renamed")
        os.fsync(new)
        os.fsync(old)
    return True


async def copy(context: JobContext, move: Move, reached: Reached) -> Place:
    """Copy the file beside its target, hidden, durable and compared; returns where.

    What an earlier attempt of the job copied is used again where it is whole.

    Raises:
        CapacityError: The disk is full.
        TransientError: The file changed meanwhile, or the copy is not what was written.
    """
    roots, report = context.roots, context.report
    known = await in_thread(lambda: kept_copy(roots, move, context.lease.job_id))
    if known is not None:
        if await in_thread(lambda: _hash_of(roots, known) == _hash_of(roots, move.source)):
            report.log(f"The copy of an earlier attempt is whole: {known.shown}")
            return known
        await in_thread(lambda: roots.remove(known.root, known.path))
    report.log(f"Copying it to {move.target.root}.")
    output = await stage_kept(roots, move.target.root, move.target.path, context.lease)
    try:
        digest = await _copied(context, move.source, output)
    except BaseException:
        await output.discard()
        raise
    await output.publish()
    copied = Place(root=output.root, path=output.path)
    report.progress(_WRITTEN_PERCENT)
    report.log("Reading the copy again.")
    if await in_thread(lambda: _hash_of(roots, copied)) != digest:
        await in_thread(lambda: roots.remove(copied.root, copied.path))
        raise TransientError(f"{move.target.shown}: the copy differs from what was written to it")
    reached("copied")
    return copied


def name_copy(roots: Roots, move: Move, copied: Place, lease: Lease, reached: Reached) -> None:
    """Give a copy its name beside its hidden one, which proves later whose it is.

    Raises:
        AttemptError: It cannot be, or the place is taken by now.
    """
    roots.store(copied.root).give_name(copied.path, move.target.path, lease)
    reached("named")


def remove_source(roots: Roots, move: Move, reached: Reached) -> None:
    """Remove the file from where it was; should a folder not let it go, the target again.

    A bucket that does not answer may still do what it was asked: then both stay until the next attempt.

    Raises:
        AttemptError: It cannot be removed.
    """
    if _seen(roots, move.target) is None:
        raise TransientError(f"{move.target.shown}: the copy was removed just now; the file stays")
    try:
        removed = roots.remove(move.source.root, move.source.path, durably=True)
    except AttemptError:
        if not _in_bucket(roots, move.source):
            with suppress(AttemptError):
                roots.remove(move.target.root, move.target.path)
        raise
    if removed:
        reached("removed")


def kept_copy(roots: Roots, move: Move, job_id: str) -> Place | None:
    """Return what an attempt of the job copied beside the target; None where there is nothing."""
    found = kept_files(roots, move.target.root, move.target.folder, job_id)
    path = next(iter(found.values()), None)
    return None if path is None else Place(root=move.target.root, path=path)


def measured(roots: Roots, place: Place) -> tuple[int, int]:
    """Return a file's size in bytes and its modification time in nanoseconds.

    Raises:
        BadInputError: It cannot be opened.
    """
    facts = roots.facts(place.root, place.path)
    return facts.size_bytes, facts.mtime_ns


def _is_copy(roots: Roots, move: Move, job_id: str, source: Seen, target: Seen, *, again: bool) -> bool:
    """Say whether the job itself put a copy at the target.

    Its hidden name tells, in a bucket together with equal content. Where there is none, as within one bucket
    and where files have one name only, an earlier attempt and equal content do, in folders also equal times.
    """
    copied = kept_copy(roots, move, job_id)
    beside = None if copied is None else _seen(roots, copied)
    if beside is not None and beside.file == target.file:
        return True
    if _in_bucket(roots, move.target):
        maybe = beside is not None or (again and within_one_bucket(roots, move))
    else:
        maybe = again and source.mtime_ns == target.mtime_ns
    same = maybe and source.size_bytes == target.size_bytes
    return same and _hash_of(roots, move.source) == _hash_of(roots, move.target)


def _in_bucket(roots: Roots, place: Place) -> bool:
    return isinstance(roots[place.root], BucketSettings)


@contextmanager
def _folder(roots: Roots, place: Place, *, make: bool = False) -> Generator[int]:
    """Open the folder of a place."""
    try:
        fd = _folder_fd(roots, place, make=make)
    except OSError as error:
        raise as_attempt_error(error, place.shown) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _folder_fd(roots: Roots, place: Place, *, make: bool) -> int:
    root_fd = roots.open_root(place.root)
    if make:
        return make_folders(root_fd, checked_parts(place.folder))
    try:
        return open_beneath(root_fd, place.folder, _FOLDER)
    finally:
        os.close(root_fd)


def _seen(roots: Roots, place: Place) -> Seen | None:
    return roots.store(place.root).seen(place.path)


def _identity(roots: Roots, place: Place) -> str:
    return content_identity(roots.store(place.root), place.path)


async def _copied(context: JobContext, source: Place, output: StagedOutput) -> bytes:
    """Copy in slices with rights and times, and return the hash of what was written."""
    reader = await in_thread(
        lambda: context.roots.reader(source.root, source.path), lambda opened: opened.close()
    )
    try:
        digest, at = blake2b(digest_size=32), 0

        def one_slice(begin: int) -> int:
            end = begin
            while end < min(begin + SLICE_BYTES, reader.size_bytes):
                check_wanted()
                block = reader.read(end, reader.piece_bytes)
                digest.update(block)
                _write(output.fd, block)
                end += len(block)
            return end

        try:
            while at < reader.size_bytes:
                context.stop.check()
                at = await in_thread(partial(one_slice, at))
                context.report.progress(at * _WRITTEN_PERCENT // reader.size_bytes)
            await in_thread(lambda: _settle(output.fd, reader))
        except OSError as error:
            raise as_attempt_error(error, output.shown) from error
    finally:
        reader.close()
    return digest.digest()


def _write(fd: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(fd, view) :]


def _settle(fd: int, source: Reader) -> None:
    """Give a copy the rights and times of its source, and have what is read of it come from the disk."""
    os.fchmod(fd, source.rights)
    os.utime(fd, ns=(source.mtime_ns, source.mtime_ns))
    os.fsync(fd)
    with suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _hash_of(roots: Roots, place: Place) -> bytes:
    digest, at = blake2b(digest_size=32), 0
    reader = roots.reader(place.root, place.path)
    try:
        while at < reader.size_bytes:
            check_wanted()
            block = reader.read(at, reader.piece_bytes)
            digest.update(block)
            at += len(block)
    finally:
        reader.close()
    return digest.digest()
