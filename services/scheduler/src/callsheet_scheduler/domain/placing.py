"""Where a GPU job can run: which worker has room for it, on which GPU."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import ENCODER_SESSIONS, SOFTWARE, DeviceId, Need, need_of
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import scopes_of

#: The room of a worker that does without a GPU, in MiB.
BOUNDLESS_MIB: Final = 1 << 40

Sort = tuple[Category, str, str | None]
"""Category, type, root: jobs that the same workers can run."""

Bars = Callable[[Worker, DeviceId | None], bool]
"""Tells whether a job is kept from a worker's GPU, or from a worker without one, though there is room."""


class Spot(NamedTuple):
    """A worker, and the GPU that a job gets there; SOFTWARE for none."""

    worker: Worker
    device: DeviceId


def takes_without_card(worker: Worker) -> bool:
    """Return whether a worker does GPU jobs in software."""
    return worker.capability.software_gpu and not worker.capability.cards


def room_for(fleet: Fleet, ledger: Ledger, sort: Sort, now: float) -> int | None:
    """Return the most VRAM in MiB that one job of *sort* can have now; None where none can start."""
    sessions = ENCODER_SESSIONS[sort[0]]
    best: int | None = None
    for worker in _open(fleet, sort):
        if takes_without_card(worker):
            return BOUNDLESS_MIB
        room_mib = ledger.room(worker.capability.id, sessions, now)
        if room_mib is not None and (best is None or room_mib > best):
            best = room_mib
    return best


def spot_for(fleet: Fleet, ledger: Ledger, job: LiveJob, now: float, bars: Bars | None = None) -> Spot | None:
    """Return where *job* runs best now: on the GPU where it leaves least, else without one."""
    need = need_of(job.category, job.vram_mib)
    if need is None:
        return None
    without: Spot | None = None
    best: tuple[int, Spot] | None = None
    for worker in _open(fleet, (job.category, job.type, job.root)):
        if takes_without_card(worker):
            if without is None and not (bars is not None and bars(worker, None)):
                without = Spot(worker, SOFTWARE)
            continue
        found = ledger.place(worker.capability.id, need, now, None if bars is None else partial(bars, worker))
        if found is not None and (best is None or found[1] < best[0]):
            best = (found[1], Spot(worker, found[0].id))
    return without if best is None else best[1]


def largest_for(fleet: Fleet, ledger: Ledger, job: LiveJob) -> int:
    """Return the most VRAM in MiB that a GPU has which *job* can run on, were it empty."""
    nothing_else = Need(0, ENCODER_SESSIONS[job.category])
    return max(
        (
            account.bounds.usable_mib
            for worker in fleet.handling(job.type)
            if job.root is None or job.root in worker.capability.roots
            for account in ledger.reached_by(worker.capability.id)
            if account.bounds.allow(nothing_else)
        ),
        default=0,
    )


def _open(fleet: Fleet, sort: Sort) -> Iterator[Worker]:
    """Yield the workers that can take a lease of *sort*, GPUs aside."""
    category, job_type, root = sort
    scopes = scopes_of(category, job_type)
    if fleet.full_scope(scopes) is not None:
        return
    for worker in fleet.ready_for_gpu_jobs():
        capability = worker.capability
        if (
            job_type in capability.types
            and (root is None or root in capability.roots)
            and fleet.full_scope_on(capability.host, scopes) is None
        ):
            yield worker
