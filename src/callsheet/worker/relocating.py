"""Moves a file to another folder or root by steps of which each can be the last: beginning again ends it."""

import errno
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from hashlib import blake2b
from typing import Final

from callsheet.errors import BadInputError, TransientError
from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.worker.beneath import checked_parts, make_folders, open_beneath
from callsheet.worker.context import JobContext
from callsheet.worker.library import OpenedFile, Roots, as_attempt_error
from callsheet.worker.renaming import give_name
from callsheet.worker.staging import StagedOutput, kept_files, stage_kept
from callsheet.worker.threads import in_thread

SLICE_BYTES: Final = 64 << 20
"""Copied at once, between two looks at whether the attempt is to end."""
_BLOCK: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_LINKLESS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A regular file in its folder."""

    folder: tuple[int, int]
    name: str
    file: tuple[int, int]
    size_bytes: int
    mtime_ns: int

    def is_entry(self, other: "_Seen") -> bool:
        """Say whether both are one entry of one folder, by whatever path or case of letters."""
        return self.folder == other.folder and self.name.casefold() == other.name.casefold()


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
    ours = not source.is_entry(target) and (
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


def rename(roots: Roots, move: Move, reached: Reached) -> bool:
    """Rename the file; False where it has to be copied, since the target lies in another file system.

    Raises:
        AttemptError: It cannot be.
    """
    with _folder(roots, move.source) as old, _folder(roots, move.target, make=True) as new:
        try:
            give_name(old, move.source.name, new, move.target.name)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise _failure(error, move) from error
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
    with await in_thread(
        lambda: roots.open_file(move.source.root, move.source.path), OpenedFile.close
    ) as source:
        if known is not None:
            if await in_thread(lambda: _hash_of(roots, known)) == await in_thread(lambda: _hash(source.fd)):
                report.log(f"The copy of an earlier attempt is whole: {known.shown}")
                return known
            await in_thread(lambda: roots.remove(known.root, known.path))
        output = await stage_kept(roots, move.target.root, move.target.path, context.lease)
        try:
            digest = await _copied(context, source, output)
            await in_thread(lambda: _check_copy(move, source, output.fd, digest))
        except BaseException:
            await output.discard()
            raise
    await output.publish()
    reached("copied")
    return Place(root=output.root, path=output.path)


def name_copy(roots: Roots, move: Move, copied: Place, reached: Reached) -> None:
    """Give a copy its name beside its hidden one, which proves later whose it is.

    Raises:
        AttemptError: It cannot be, or the place is taken by now.
    """
    with _folder(roots, move.target) as folder:
        try:
            _link(folder, copied.name, move.target.name)
        except OSError as error:
            raise _failure(error, move) from error
        reached("named")
        os.fsync(folder)


def remove_source(roots: Roots, move: Move, reached: Reached) -> None:
    """Remove the file from where it was; should that fail, the target again.

    Raises:
        AttemptError: It cannot be removed.
    """
    with _folder(roots, move.source) as old, _folder(roots, move.target) as new:
        os.stat(move.target.name, dir_fd=new, follow_symlinks=False)
        try:
            os.unlink(move.source.name, dir_fd=old)
        except FileNotFoundError:
            return
        except OSError as error:
            with suppress(OSError):
                os.unlink(move.target.name, dir_fd=new)
            raise as_attempt_error(error, move.source.shown) from error
        reached("removed")
        os.fsync(old)


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
    with roots.open_file(place.root, place.path) as file:
        return file.size_bytes, file.mtime_ns


def _is_copy(roots: Roots, move: Move, job_id: str, source: _Seen, target: _Seen, *, again: bool) -> bool:
    """Say whether the job itself put a copy at the target: its hidden name tells, or that both are equal."""
    copied = kept_copy(roots, move, job_id)
    beside = None if copied is None else _seen(roots, copied)
    if beside is not None and beside.file == target.file:
        return True
    same = (source.size_bytes, source.mtime_ns) == (target.size_bytes, target.mtime_ns)
    return again and same and _hash_of(roots, move.source) == _hash_of(roots, move.target)


def _failure(error: OSError, move: Move) -> Exception:
    if isinstance(error, FileExistsError):
        return TransientError(f"{move.target.shown}: something came to lie there just now")
    return as_attempt_error(error, f"{move.source.shown} to {move.target.shown}")


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


def _seen(roots: Roots, place: Place) -> _Seen | None:
    """Return what lies at a place; None where nothing does."""
    root_fd = roots.open_root(place.root)
    try:
        folder = open_beneath(root_fd, place.folder, _FOLDER)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise as_attempt_error(error, place.shown) from error
    finally:
        os.close(root_fd)
    try:
        facts, above = os.stat(place.name, dir_fd=folder, follow_symlinks=False), os.fstat(folder)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)
    if not stat.S_ISREG(facts.st_mode):
        raise BadInputError(f"{place.shown}: is no regular file; name another path")
    return _Seen(
        folder=(above.st_dev, above.st_ino),
        name=place.name,
        file=(facts.st_dev, facts.st_ino),
        size_bytes=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
    )


def _identity(roots: Roots, place: Place) -> str:
    with roots.open_file(place.root, place.path) as file:
        head = os.pread(file.fd, END_BYTES, 0)
        tail = os.pread(file.fd, END_BYTES, max(0, file.size_bytes - END_BYTES))
        return quick_identity(file.size_bytes, head, tail)


async def _copied(context: JobContext, source: OpenedFile, output: StagedOutput) -> bytes:
    """Copy in slices, and return the hash of what was written."""
    digest, at = blake2b(digest_size=32), 0

    def one_slice(begin: int) -> int:
        end = begin
        while end < begin + SLICE_BYTES:
            block = os.pread(source.fd, _BLOCK, end)
            if not block:
                break
            digest.update(block)
            _write(output.fd, block)
            end += len(block)
        return end

    while at < source.size_bytes:
        context.stop.check()
        try:
            reached = await in_thread(partial(one_slice, at))
        except OSError as error:
            raise as_attempt_error(error, output.shown) from error
        if reached == at:
            break
        at = reached
        context.report.progress(at * 90 // source.size_bytes)
    return digest.digest()


def _write(fd: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(fd, view) :]


def _check_copy(move: Move, source: OpenedFile, fd: int, digest: bytes) -> None:
    """Give a copy the rights and times of its source, make it durable, and read it again.

    Raises:
        TransientError: It is not what was written, or the source changed meanwhile.
    """
    facts = os.fstat(source.fd)
    os.fchmod(fd, stat.S_IMODE(facts.st_mode) & 0o777)
    os.utime(fd, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.fsync(fd)
    with suppress(OSError):  # what is read is to come from the disk
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if _hash(fd) != digest:
        raise TransientError(f"{move.target.shown}: the copy differs from what was written to it")
    if (facts.st_size, facts.st_mtime_ns) != (source.size_bytes, source.mtime_ns):
        raise TransientError(f"{move.source.shown}: the file was written to while it was copied")


def _hash(fd: int) -> bytes:
    digest, at = blake2b(digest_size=32), 0
    while block := os.pread(fd, _BLOCK, at):
        digest.update(block)
        at += len(block)
    return digest.digest()


def _hash_of(roots: Roots, place: Place) -> bytes:
    with roots.open_file(place.root, place.path) as file:
        return _hash(file.fd)


def _link(folder: int, old: str, new: str) -> None:
    """Give a file a second name and never replace one; where there are no links, another name."""
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _LINKLESS:
            raise
        give_name(folder, old, folder, new)
