"""Removes what killed workers left in writable roots: files of leases that are over."""

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final

from callsheet.errors import InvalidError, NotFoundError, StateError
from callsheet.v1.job_pb2 import JOB_STATE_COMPLETED
from callsheet.v1.job_service_pb2 import GetJobRequest
from callsheet.v1.library_service_pb2 import UpsertItemsRequest
from callsheet.worker.commands import LeaseKey
from callsheet.worker.library import DEPTH_LIMIT, Roots
from callsheet.worker.reports import persistently
from callsheet.worker.staging import leased_name
from callsheet.worker.threads import in_thread

if TYPE_CHECKING:  # the generated stubs have these names, the generated code has not
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from callsheet.v1.library_service_pb2_grpc import LibraryServiceAsyncStub

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


class Standing(Enum):
    """What is certain of a lease. Only `HELD` can change."""

    HELD = auto()
    """It is its job's newest, or nothing is known of it."""
    OVER = auto()
    """It ended, and nothing was committed under it."""
    SETTLED = auto()
    """It ended, and its job is completed, perhaps under it: a whole file may wait to be placed."""


Ask = Callable[[str, int], Awaitable[Standing]]
"""Returns the standing of the lease of a job under a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file that a lease made and did not publish."""

    root: str
    path: str
    """Relative to the root."""
    lease: LeaseKey
    whole: bool

    def may_go(self, standing: Standing) -> bool:
        """Say whether nobody can want it any more."""
        return standing is Standing.OVER or (standing is Standing.SETTLED and not self.whole)


class LeaseQuestions:
    """Asks the scheduler about leases of any worker, by the fence that guards the library."""

    __slots__ = ("_deadline_s", "_jobs", "_library")

    def __init__(
        self, jobs: "JobServiceAsyncStub", library: "LibraryServiceAsyncStub", *, deadline_s: float
    ) -> None:
        self._jobs = jobs
        self._library = library
        self._deadline_s = deadline_s

    async def standing(self, job_id: str, token: int) -> Standing:
        """Return what is certain of a lease.

        First the fence: a lease that it refuses never comes back, and neither can its result. Only then
        the job: one that is not completed now was not completed under that lease.
        """
        nothing = UpsertItemsRequest(job_id=job_id, token=token)
        try:
            await persistently(self._library.UpsertItems, nothing, deadline_s=self._deadline_s)
        except InvalidError:
            return Standing.HELD
        except StateError:
            return await self._of_job(job_id)
        return Standing.HELD

    async def _of_job(self, job_id: str) -> Standing:
        try:
            answer = await persistently(
                self._jobs.GetJob, GetJobRequest(id=job_id), deadline_s=self._deadline_s
            )
        except NotFoundError:
            return Standing.SETTLED
        return Standing.SETTLED if answer.job.state == JOB_STATE_COMPLETED else Standing.OVER


async def sweep(roots: Roots, ask: Ask) -> int:
    """Remove leftovers from all writable roots; returns how many.

    A file goes only when *ask* said that its lease is over. The attempt of such a lease may still run on a
    worker that does not know it; it cannot publish, with the file or without it.
    """
    found = await in_thread(lambda: list(_leftovers(roots)))
    standings = {lease: await ask(*lease) for lease in sorted({one.lease for one in found})}
    removed = 0
    for one in found:
        if one.may_go(standings[one.lease]):
            removed += await in_thread(partial(roots.remove, one.root, one.path))
    return removed


def _leftovers(roots: Roots) -> Iterator[Leftover]:
    for name, settings in roots.items():
        if settings.writable and settings.path.is_dir():
            for path in _unpublished(roots.open_root(name), "", DEPTH_LIMIT):
                said = leased_name(path.rpartition("/")[2])
                if said is not None:
                    yield Leftover(root=name, path=path, lease=(said.job_id, said.token), whole=said.whole)


def _unpublished(fd: int, folder: str, depth: int) -> Iterator[str]:
    """Yield the paths of leases' files below the folder behind *fd*; closes *fd*."""
    try:
        with os.scandir(fd) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth:
                try:
                    below = os.open(entry.name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                except OSError:
                    continue
                yield from _unpublished(below, f"{folder}{entry.name}/", depth - 1)
            elif leased_name(entry.name) and entry.is_file(follow_symlinks=False):
                yield f"{folder}{entry.name}"
    finally:
        os.close(fd)
