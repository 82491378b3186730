"""Removes what killed workers left in writable roots: files of leases that are over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from callsheet.errors import CallsheetError, InvalidError, NotFoundError, StateError
from callsheet.v1.job_pb2 import JOB_STATE_CANCELLED, JOB_STATE_COMPLETED, JOB_STATE_FAILED
from callsheet.v1.job_service_pb2 import GetJobRequest
from callsheet.v1.library_service_pb2 import UpsertItemsRequest
from callsheet.worker.lease import leased_name
from callsheet.worker.reports import persistently
from callsheet.worker.storage.library import Roots
from callsheet.worker.stream.commands import LeaseKey
from callsheet.worker.threads import in_thread

if TYPE_CHECKING:  # the generated stubs have these names, the generated code has not
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from callsheet.v1.library_service_pb2_grpc import LibraryServiceAsyncStub

log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0
"""The first wait before leases that were held are asked about again; it doubles from there."""


class Standing(Enum):
    """What is certain of a lease. Only `HELD` can change."""

    HELD = auto()
    """It is its job's newest, or nothing is known of it."""
    OVER = auto()
    """It ended, and nothing was committed under it; its job goes on."""
    ENDED = auto()
    """It ended, nothing was committed under it, and its job failed or was cancelled."""
    SETTLED = auto()
    """It ended, and its job is completed, perhaps under it: a whole file may wait to be placed."""


_ENDS: Final = {
    JOB_STATE_COMPLETED: Standing.SETTLED,
    JOB_STATE_FAILED: Standing.ENDED,
    JOB_STATE_CANCELLED: Standing.ENDED,
}
Ask = Callable[[str, int], Awaitable[Standing]]
"""Returns the standing of the lease of a job under a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file that a lease made and did not publish."""

    root: str
    path: str
    """Relative to the root."""
    lease: LeaseKey
    whole: bool = False
    kept: bool = False

    def may_go(self, standing: Standing) -> bool:
        """Say whether nobody can want it any more."""
        if self.kept:
            return standing in {Standing.SETTLED, Standing.ENDED}
        return standing in {Standing.OVER, Standing.ENDED} or (
            standing is Standing.SETTLED and not self.whole
        )


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
        return _ENDS.get(answer.job.state, Standing.OVER)


async def keep_clean(roots: Roots, ask: Ask, *, interval_s: float) -> NoReturn:
    """Look for leftovers every *interval_s*; ask again of those that are held, after ever longer waits.

    A worker that is started again asks before the scheduler has ended the leases of its life before.
    """
    while True:
        held = await find(roots)
        waited_s, wait_s = 0.0, AGAIN_S
        while waited_s < interval_s:
            count = len(held)
            try:
                held = await sweep(roots, held, ask)
            except CallsheetError as error:
                log.warning("leftovers could not be removed", extra={"reason": error.message})
            if len(held) < count:
                log.info("looked at leftovers of killed workers", extra={"found": count, "held": len(held)})
            await asyncio.sleep(min(wait_s, interval_s - waited_s))
            waited_s += wait_s
            wait_s *= 2


async def find(roots: Roots) -> list[Leftover]:
    """Return what leases made and did not publish in all writable roots, live leases' files too."""
    return await in_thread(lambda: list(_leftovers(roots)))


async def sweep(roots: Roots, found: Sequence[Leftover], ask: Ask) -> list[Leftover]:
    """Remove what nobody can want of *found*; returns what may still be wanted by leases that are held.

    A file goes only when *ask* said that its lease is over. The attempt of such a lease may still run on a
    worker that does not know it; it cannot publish, with the file or without it.

    Raises:
        AttemptError: A root is away.
    """
    standings = {lease: await ask(*lease) for lease in sorted({one.lease for one in found})}
    for one in found:
        if one.may_go(standings[one.lease]):
            await in_thread(partial(roots.remove, one.root, one.path))
    return [one for one in found if standings[one.lease] is Standing.HELD]


def _leftovers(roots: Roots) -> Iterator[Leftover]:
    for name, settings in roots.items():
        if settings.writable:
            for path in roots.store(name).hidden(lambda file: leased_name(file) is not None):
                said = leased_name(path.rpartition("/")[2])
                if said is not None:
                    yield Leftover(
                        root=name,
                        path=path,
                        lease=(said.job_id, said.token),
                        whole=said.whole,
                        kept=said.kept,
                    )
