"""Outputs that appear whole or not at all: written aside, made durable, then given their name."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from callsheet.errors import BadInputError
from callsheet.worker.beneath import checked_parts, open_beneath
from callsheet.worker.lease import Lease
from callsheet.worker.library import PARTIAL_SUFFIX, Roots, as_attempt_error
from callsheet.worker.threads import in_thread

WHOLE_SUFFIX: Final = ".staged"
"""Ends the names of files that are whole and wait to be put where they were asked for."""
KEPT_SUFFIX: Final = ".kept"
"""Ends the names of files that are whole and serve the job's later attempts, such as encoded chunks."""
NAME_BYTES_MAX: Final = 120
"""Bytes of a file's name that the name of its unfinished form repeats."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_LEASED: Final = re.compile(
    r"\..+\.(?P<job>[0-9A-Za-z-]{1,64})\.(?P<tag>[0-9a-f]{16})\.(?P<kind>partial|staged|kept)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedName:
    """What the name of a file that is not published says."""

    job_id: str
    token: int
    whole: bool
    """Whether the file is whole and may wait to be put where it was asked for."""
    kept: bool = False
    """Whether it serves every attempt of the job, until the job is final."""


def leased_name(name: str) -> LeasedName | None:
    """Return what a file's name says of the lease that makes it; None where it is no such name."""
    match = _LEASED.fullmatch(name)
    if match is None:
        return None
    whole, kept = (match["kind"] == suffix[1:] for suffix in (WHOLE_SUFFIX, KEPT_SUFFIX))
    return LeasedName(job_id=match["job"], token=int(match["tag"], 16), whole=whole, kept=kept)


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
    wanted: str = ""
    """Where it is asked for, relative to the root; empty where *path* is its name for good."""

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


async def stage(roots: Roots, root: str, path: str, lease: Lease) -> StagedOutput:
    """Begin a file in a writable root; makes its folders.

    Args:
        roots: The named roots.
        root: A writable one.
        path: The final path; its last name must hold the lease's tag, so that no other lease can write it.
        lease: Whose file it is.

    Raises:
        BadInputError: The root is read-only, or the path leads out of it.
        CapacityError: The disk is full.
    """
    if lease.file_tag not in path.rpartition("/")[2]:
        raise BadInputError(f"{root}/{path}: the name must hold the lease's tag {lease.file_tag!r}")
    return await _begin(roots, root, path, lease, wanted="")


async def stage_kept(roots: Roots, root: str, path: str, lease: Lease) -> StagedOutput:
    """Begin a file that serves this and later attempts of the job; as `stage`, but hidden.

    Once published it is called after *path*, the job and the lease; it is swept when the job is final.
    """
    *folders, name = checked_parts(path)
    return await _begin(
        roots, root, "/".join((*folders, _name_of(name, lease, KEPT_SUFFIX))), lease, wanted=""
    )


def kept_files(roots: Roots, root: str, folder: str, job_id: str) -> dict[str, str]:
    """Return the paths of what earlier attempts of a job kept in a folder, by the names they were begun with.

    None where there is no such folder.
    """
    root_fd = roots.open_root(root)
    try:
        fd = open_beneath(root_fd, folder, _FOLDER)
    except OSError:
        return {}
    finally:
        os.close(root_fd)
    try:
        with os.scandir(fd) as entries:
            names = [entry.name for entry in entries]
    finally:
        os.close(fd)
    found: dict[str, str] = {}
    for name in names:
        said = leased_name(name)
        if said is not None and said.kept and said.job_id == job_id:
            found[name[1:].rpartition(f".{job_id}.")[0]] = f"{folder}/{name}"
    return found


async def stage_wanted(roots: Roots, root: str, path: str, lease: Lease) -> StagedOutput:
    """Begin a file that is asked for at *path*; as `stage`, but the name is the asker's.

    It becomes whole beside that path, hidden, under a name of the lease; the scheduler has it put in its
    place once the attempt's result is committed.

    Raises:
        BadInputError: Something lies there already, the name is hidden, the root is read-only, or the path
            leads out of it.
        CapacityError: The disk is full.
    """
    *folders, name = checked_parts(path) or ("",)
    if not name or name.startswith(".") or leased_name(f".{name}"):
        raise BadInputError(f"{root}/{path}: a file cannot be asked for under this name; name another")
    whole = "/".join((*folders, _name_of(name, lease, WHOLE_SUFFIX)))
    return await _begin(roots, root, whole, lease, wanted="/".join((*folders, name)))


async def publish(roots: Roots, root: str, path: str, lease: Lease, content: bytes) -> None:
    """Write a whole file under its final name: the short form for what fits in memory.

    Raises:
        BadInputError: The root is read-only, or the path leads out of it.
        CapacityError: The disk is full.
    """
    output = await stage(roots, root, path, lease)
    try:
        await output.write(content)
    except BaseException:
        await output.discard()
        raise
    await output.publish()


def _name_of(name: str, lease: Lease, suffix: str) -> str:
    """Return a name that is this lease's alone, hidden, and short enough for every file system."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > NAME_BYTES_MAX:
        kept = encoded[: NAME_BYTES_MAX - 17].decode("utf-8", "ignore")
        name = f"{kept}~{blake2b(encoded, digest_size=8).hexdigest()}"
    return f".{name}.{lease.job_id}.{lease.file_tag}{suffix}"


async def _begin(roots: Roots, root: str, path: str, lease: Lease, *, wanted: str) -> StagedOutput:
    roots.require_writable(root)
    try:
        return await in_thread(lambda: _stage(roots, root, path, lease, wanted), StagedOutput.abandon)
    except OSError as error:
        raise as_attempt_error(error, f"{root}/{wanted or path}") from error


def _stage(roots: Roots, root: str, path: str, lease: Lease, wanted: str) -> StagedOutput:
    *folders, name = checked_parts(path)
    partial_name = _name_of((wanted or name).rpartition("/")[2], lease, PARTIAL_SUFFIX)
    folder_fd = _make_folders(roots.open_root(root), folders)
    try:
        if wanted:
            _require_free(folder_fd, wanted, f"{root}/{wanted}")
        fd = open_beneath(folder_fd, partial_name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    except BaseException:
        os.close(folder_fd)
        raise
    return StagedOutput(
        root=root, path=path, fd=fd, folder_fd=folder_fd, partial_name=partial_name, wanted=wanted
    )


def _require_free(folder_fd: int, path: str, shown: str) -> None:
    try:
        os.stat(path.rpartition("/")[2], dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise BadInputError(f"{shown}: there is something at this path already; name another")


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
