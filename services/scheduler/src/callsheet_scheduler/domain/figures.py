"""What the leader's memory says of the queue, the workers and the GPUs, in figures for those who watch.

It costs a look at each kind of waiting job, at each lease, worker and GPU, however many jobs wait.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.account import Account, AccountState
from callsheet_scheduler.domain.desk import Desk
from callsheet_scheduler.domain.device import DeviceId
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob
from callsheet_scheduler.domain.lanes import Place
from callsheet_scheduler.domain.placing import largest_for, sort_of, takes_without_card


class Why(Enum):
    """What a waiting job waits for, the widest first."""

    PAUSED = "paused"
    """Somebody paused it, or the scope that it lies in."""
    NOT_YET = "not_yet"
    """An instant, or other jobs."""
    NOBODY = "nobody"
    """No connected worker takes jobs of its type and root."""
    NEVER_FITS = "never_fits"
    """It needs more memory than the largest GPU has."""
    TURN = "turn"
    """A slot, or room on a GPU."""


class Post(Enum):
    """How a worker is."""

    WORKING = "working"
    DRAINING = "draining"
    """It takes no leases: it leaves, or an administrator drains it."""
    SILENT = "silent"
    """It was not heard for longer than a lease lasts, or has leases and no stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """One GPU and its account, in MiB."""

    id: DeviceId
    host: str
    index: int
    capacity_mib: int
    allocated_mib: int
    lingering_mib: int
    """Of that: charged to leases that ended without proof that their processes did."""
    observed_mib: int
    foreign_mib: int
    free_mib: int
    usable: bool

    @property
    def drift_mib(self) -> int:
        """How much more its leases hold than they are charged with."""
        return max(0, self.observed_mib - self.allocated_mib)


class Slots(NamedTuple):
    """The slots of workers."""

    all: int
    leased: int


@dataclass(slots=True, kw_only=True)
class Figures:
    """The figures of one instant. Every category, reason and post is there, if only with 0."""

    pending: int
    running: dict[Category, int]
    waiting: dict[tuple[Category, Why], int]
    longest_wait_s: dict[Category, float]
    """Of the jobs that are next in their lanes: one behind them is younger, or less urgent."""
    longest_run_s: dict[Category, float]
    workers: dict[Post, int]
    slots: dict[str, Slots]
    """Of the connected workers, by whether they take GPU jobs: ``cpu``, ``gpu``."""
    silence_s: float
    """How long ago the leader heard from the worker with leases that is silent for the longest."""
    devices: list[DeviceFigures] = field(default_factory=list[DeviceFigures])


def figures_of(desk: Desk, now: float) -> Figures:
    """Return the figures of the present."""
    waiting, longest_wait_s = _waiting(desk, now)
    workers = list(desk.fleet.workers.values())
    leased = list(_leased(desk, workers))
    return Figures(
        pending=sum(jobs for (state, *_), jobs in desk.queue.counts.items() if state is JobState.PENDING),
        running=_running(desk),
        waiting=waiting,
        longest_wait_s=longest_wait_s,
        longest_run_s=_longest_run_s(leased, now),
        workers=dict.fromkeys(Post, 0) | Counter(_post_of(worker, desk, now) for worker in workers),
        slots={kind: _slots(workers, kind) for kind in ("cpu", "gpu")},
        silence_s=max((now - worker.last_seen_at for worker in workers if worker.leases), default=0.0),
        devices=[_device(account, now, desk) for account in desk.ledger.accounts.values()],
    )


def _running(desk: Desk) -> dict[Category, int]:
    running = dict.fromkeys(Category, 0)
    for (state, _, category), jobs in desk.queue.counts.items():
        if state in LEASED:
            running[category] += jobs
    return running


def _waiting(desk: Desk, now: float) -> tuple[dict[tuple[Category, Why], int], dict[Category, float]]:
    """Return how many jobs wait and why, and for how long those wait whose turn is next."""
    waiting = {(category, why): 0 for category in Category for why in Why}
    longest_s = dict.fromkeys(Category, 0.0)
    for (state, _, category), jobs in desk.queue.counts.items():
        if state is JobState.PENDING:
            waiting[category, Why.NOT_YET] += jobs
        elif state is JobState.PAUSED:
            waiting[category, Why.PAUSED] += jobs
    for job, jobs in _rows(desk):
        why = _why(desk, job)
        waiting[job.category, why] += jobs
        waiting[job.category, Why.NOT_YET] -= jobs
        if why is not Why.PAUSED:
            waited_s = now - max(job.created_at, job.ready_at)
            longest_s[job.category] = max(longest_s[job.category], waited_s)
    return waiting, longest_s


def _rows(desk: Desk) -> Iterator[tuple[LiveJob, int]]:
    """Yield the first job of each row of alike jobs that wait for their turn, and how many stand in it."""
    rows: list[Sequence[Place]] = [places for _, places in desk.queue.cpu_lane.rows()]
    for lane in desk.queue.gpu_lanes.values():
        rows += [places for _, places in lane.rows()]
    for places in rows:
        yield desk.queue.jobs[JobId(places[0][2])], len(places)


def _why(desk: Desk, job: LiveJob) -> Why:
    if desk.pauses.hold(job) is not None:
        return Why.PAUSED
    takers = [worker for worker in desk.fleet.handling(job.type) if worker.capability.reaches(job.root)]
    if not takers:
        return Why.NOBODY
    if job.category is Category.CPU or any(map(takes_without_card, takers)):
        return Why.TURN
    return Why.TURN if job.vram_mib <= largest_for(desk.fleet, desk.ledger, sort_of(job)) else Why.NEVER_FITS


def _leased(desk: Desk, workers: Sequence[Worker]) -> Iterator[LiveJob]:
    return (desk.queue.jobs[job_id] for worker in workers for job_id in worker.leases)


def _longest_run_s(leased: Sequence[LiveJob], now: float) -> dict[Category, float]:
    longest_s = dict.fromkeys(Category, 0.0)
    for job in leased:
        if job.started_at is not None:
            longest_s[job.category] = max(longest_s[job.category], now - job.started_at)
    return longest_s


def _post_of(worker: Worker, desk: Desk, now: float) -> Post:
    if worker.session is None or now - worker.last_seen_at > desk.rules.lease_ttl_s:
        return Post.SILENT
    return Post.DRAINING if worker.draining or worker.leaving else Post.WORKING


def _slots(workers: Sequence[Worker], kind: str) -> Slots:
    mine = [
        worker
        for worker in workers
        if worker.session is not None and worker.capability.takes_gpu_jobs == (kind == "gpu")
    ]
    return Slots(
        all=sum(worker.capability.slots for worker in mine), leased=sum(len(worker.leases) for worker in mine)
    )


def _device(account: Account, now: float, desk: Desk) -> DeviceFigures:
    fresh_s = desk.ledger.rules.fresh_s
    seen = account.is_fresh(now, fresh_s)
    lingering = (one for one in account.charges.values() if one.lingers_since is not None)
    return DeviceFigures(
        id=account.id,
        host=account.host,
        index=account.card.index,
        capacity_mib=account.bounds.capacity_mib,
        allocated_mib=account.allocated.vram_mib,
        lingering_mib=sum(one.need.vram_mib for one in lingering),
        observed_mib=account.observed_mib if seen else 0,
        foreign_mib=account.foreign_mib if seen else 0,
        free_mib=account.free(now, fresh_s).vram_mib,
        usable=account.is_usable() and account.state() is AccountState.OK,
    )
