"""Outputs that appear whole or not at all: written aside, made durable, then given their name."""

import os
from dataclasses import dataclass, replace

from callsheet.errors import BadInputError
from callsheet.worker.lease import KEPT_SUFFIX, WHOLE_SUFFIX, Lease, leased_name
from callsheet.worker.storage.beneath import checked_parts
from callsheet.worker.storage.library import Roots, as_attempt_error
from callsheet.worker.storage.store import Draft
from callsheet.worker.threads import in_thread


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
    draft: Draft
    wanted: str = ""
    """Where it is asked for, relative to the root; empty where *path* is its name for good."""

    @property
    def fd(self) -> int:
        """Open for reading and writing."""
        return self.draft.fd

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
        await in_thread(self.draft.publish)

    async def discard(self) -> None:
        """Remove what was written, instead of a publication."""
        await in_thread(self.draft.abandon)


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


async def stage_kept(roots: Roots, root: str, path: str, lease: Lease, *, job_id: str = "") -> StagedOutput:
    """Begin a file that serves later attempts of the job, or of *job_id*; as `stage`, but hidden.

    Once published it is called after *path*, that job and the lease; it is swept when that job is final.
    """
    *folders, name = checked_parts(path)
    kept = replace(lease, job_id=job_id or lease.job_id).name_for(name, KEPT_SUFFIX)
    return await _begin(roots, root, "/".join((*folders, kept)), lease, wanted="")


def kept_files(roots: Roots, root: str, folder: str, job_id: str) -> dict[str, str]:
    """Return the paths of what earlier attempts of a job kept in a folder, by the names they were begun with.

    None where there is no such folder.
    """
    found: dict[str, str] = {}
    for name in roots.store(root).names_in(folder):
        said = leased_name(name)
        if said is not None and said.kept and said.job_id == job_id:
            found[name[1:].rpartition(f".{job_id}.")[0]] = f"{folder}/{name}" if folder else name
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
    whole = "/".join((*folders, lease.name_for(name, WHOLE_SUFFIX)))
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


async def _begin(roots: Roots, root: str, path: str, lease: Lease, *, wanted: str) -> StagedOutput:
    roots.require_writable(root)
    store = roots.store(root)
    draft = await in_thread(lambda: store.begin(path, lease, wanted=wanted), lambda begun: begun.abandon())
    return StagedOutput(root=root, path=path, draft=draft, wanted=wanted)


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
