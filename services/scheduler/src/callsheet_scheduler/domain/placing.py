"""Where a GPU job can run: which worker has room for it, on which GPU."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import ENCODER_SESSIONS, SOFTWARE, DeviceId, Need, need_of
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import ALL, SCOPE_OF, scopes_of

#: The room of a worker that does without a GPU, in MiB.
BOUNDLESS_MIB: Final = 1 << 40

Sort = tuple[Category, str, str | None]
"""Category, type, root: jobs that the same workers can run."""


Bars = Callable[[Worker, DeviceId | None], object]
"""Tells what keeps a job from a worker's GPU, or a worker without one, though there is room; or None."""


class Spot(NamedTuple):
    """A worker, and the GPU that a job gets there; SOFTWARE for none."""

    worker: Worker
    device: DeviceId


def sort_of(job: LiveJob) -> Sort:
    """Return what decides which workers can run *job*."""
    return (job.category, job.type, job.root)


def takes_without_card(worker: Worker) -> bool:
    """Return whether a worker does GPU jobs in software."""
    return worker.capability.software_gpu and not worker.capability.cards


def could_take(worker: Worker, sort: Sort) -> bool:
    """Return whether a worker takes leases of *sort* when it has room."""
    _, job_type, root = sort
    capability = worker.capability
    return (
        worker.session is not None
        and not worker.draining
        and not worker.leaving
        and job_type in capability.types
        and capability.reaches(root)
    )


def room_for(fleet: Fleet, ledger: Ledger, sort: Sort, now: float) -> int | None:
    """Return the most VRAM in MiB that one job of *sort* can have now; None where none can start."""
    if fleet.full_scope(scopes_of(*sort[:2])) is not None:
        return None
    if any(_takes(fleet, worker, sort) for worker in fleet.ready_without_card()):
        return BOUNDLESS_MIB
    _look_again(fleet, ledger, now)
    for opening in ledger.openings.from_the_emptiest(sort[0]):
        if any(_takers(fleet, ledger.accounts[opening.device], sort)):
            return opening.room_mib
    return None


def spot_for(fleet: Fleet, ledger: Ledger, job: LiveJob, now: float, bars: Bars | None = None) -> Spot | None:
    """Return where *job* runs best now: on the GPU where it leaves least, else without one."""
    sort, need = sort_of(job), need_of(job.category, job.vram_mib)
    if need is None or fleet.full_scope(scopes_of(*sort[:2])) is not None:
        return None
    _look_again(fleet, ledger, now)
    for opening in ledger.openings.from_the_tightest(job.category, need.vram_mib):
        takers = _takers(fleet, ledger.accounts[opening.device], sort)
        allowed = (one for one in takers if bars is None or bars(one, opening.device) is None)
        worker = min(allowed, key=_turn, default=None)
        if worker is not None:
            return Spot(worker, opening.device)
    for worker in fleet.ready_without_card():
        if _takes(fleet, worker, sort) and (bars is None or bars(worker, None) is None):
            return Spot(worker, SOFTWARE)
    return None


def largest_for(fleet: Fleet, ledger: Ledger, sort: Sort) -> int:
    """Return the most VRAM in MiB that a GPU has which a job of *sort* can run on, were it empty."""
    category, job_type, root = sort
    nothing_else = Need(0, ENCODER_SESSIONS[category])
    return max(
        (
            account.bounds.usable_mib
            for worker in fleet.handling(job_type)
            if worker.capability.reaches(root)
            for account in ledger.reached_by(worker.capability.id)
            if account.bounds.allow(nothing_else)
        ),
        default=0,
    )


def could_run(fleet: Fleet, ledger: Ledger, job: LiveJob) -> bool:
    """Return whether a connected worker could run *job* if its GPUs were empty."""
    need = Need(job.vram_mib, ENCODER_SESSIONS[job.category])
    return any(
        worker.session is not None
        and job.type in worker.capability.types
        and worker.capability.reaches(job.root)
        and (
            takes_without_card(worker)
            or any(account.bounds.allow(need) for account in ledger.reached_by(worker.capability.id))
        )
        for worker in fleet.workers.values()
    )


def _look_again(fleet: Fleet, ledger: Ledger, now: float) -> None:
    """See what has become of the GPUs that something happened to."""
    openings, fresh_s = ledger.openings, ledger.rules.fresh_s
    hosts, fleet.touched = fleet.touched, set()
    for host in hosts:
        for worker in fleet.on_host(host):
            openings.touched.update(account.id for account in ledger.named_by(worker.capability.id))
    for device in openings.take_touched(now):
        account = ledger.accounts.get(device)
        if account is None:
            openings.forget(device)
            continue
        free = account.free(now, fresh_s)
        rooms_mib = {
            category: free.vram_mib
            for category, sessions in ENCODER_SESSIONS.items()
            if free.encoder_sessions >= sessions and _is_open(fleet, account, category)
        }
        ages_at = account.read_at + fresh_s if account.is_fresh(now, fresh_s) else None
        openings.note(device, rooms_mib, ages_at)


def _is_open(fleet: Fleet, account: Account, category: Category) -> bool:
    """Return whether some worker of a GPU can take a lease of *category*, if it handles the type."""
    scopes = (ALL, SCOPE_OF[category])
    return any(
        fleet.is_ready_for_gpu_jobs(worker_id)
        and account.serves(worker_id)
        and fleet.full_scope_on(fleet.workers[worker_id].capability.host, scopes) is None
        for worker_id in account.reached
    )


def _takers(fleet: Fleet, account: Account, sort: Sort) -> Iterator[Worker]:
    """Yield the workers of a GPU that can take a lease of *sort*."""
    for worker_id in account.reached:
        if fleet.is_ready_for_gpu_jobs(worker_id) and account.serves(worker_id):
            worker = fleet.workers[worker_id]
            if _takes(fleet, worker, sort):
                yield worker


def _takes(fleet: Fleet, worker: Worker, sort: Sort) -> bool:
    """Return whether a worker that is ready can take a lease of *sort*, GPUs aside."""
    category, job_type, root = sort
    capability = worker.capability
    return (
        job_type in capability.types
        and capability.reaches(root)
        and fleet.full_scope_on(capability.host, scopes_of(category, job_type)) is None
    )


def _turn(worker: Worker) -> int:
    return worker.turn
