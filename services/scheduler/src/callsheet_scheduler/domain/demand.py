"""How much work there is for workers of a category, for whoever adds and removes workers.

What waits and could run counts, and what runs: were that left out, busy workers would be taken away. What is
paused, waits for an instant, or is too large for any GPU that there is or could be does not count: no
worker that is added would take it. It costs a look at each kind of waiting job, however many wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.desk import Desk
from callsheet_scheduler.domain.limits import SCOPE_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class Addable:
    """The workers that can be added."""

    category: Category
    """Of the jobs that they take."""
    slots: int
    """Of one worker."""
    vram_mib: int | None = None
    """That one worker has for jobs; None where nobody says."""
    include_running: bool = True


class Demand(NamedTuple):
    """What all workers together are wanted for."""

    slots: int
    vram_mib: int


def demand_of(desk: Desk, wanted: Addable) -> Demand:
    """Return what such workers are wanted for."""
    waiting = list(_waiting(desk, wanted))
    slots = sum(jobs for _, jobs in waiting)
    vram_mib = sum(need_mib * jobs for need_mib, jobs in waiting)
    if wanted.include_running:
        slots += desk.fleet.running(SCOPE_OF[wanted.category])
        vram_mib += _running_mib(desk, wanted.category)
    return Demand(slots=slots, vram_mib=vram_mib)


def _waiting(desk: Desk, wanted: Addable) -> Iterator[tuple[int, int]]:
    """Yield the VRAM in MiB of a waiting job that some worker could take, and how many are like it."""
    most_mib = _most_mib(desk, wanted)
    for (job_type, _), need_mib, jobs in desk.queue.lanes[wanted.category].counted():
        fits = most_mib is None or need_mib <= most_mib
        if fits and desk.pauses.holding(wanted.category, job_type) is None:
            yield need_mib, jobs


def _most_mib(desk: Desk, wanted: Addable) -> int | None:
    """Return the most VRAM in MiB that one job can have, now or on a worker that is added; None for any."""
    rooms = [account.bounds.usable_mib for account in desk.ledger.accounts.values() if account.reached]
    if wanted.vram_mib is not None:
        rooms.append(wanted.vram_mib)
    workers = (worker for worker in desk.fleet.workers.values() if worker.session is not None)
    if any(worker.capability.software_gpu for worker in workers):
        return None
    return max(rooms, default=None)


def _running_mib(desk: Desk, category: Category) -> int:
    jobs = (desk.queue.jobs[job_id] for worker in desk.fleet.workers.values() for job_id in worker.leases)
    return sum(job.vram_mib for job in jobs if job.category is category)
