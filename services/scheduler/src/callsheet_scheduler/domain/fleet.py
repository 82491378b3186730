"""The workers, the leases they hold, and the limits per host."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import JobId, LiveJob, WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a worker said of itself."""

    id: WorkerId
    host: str
    slots: int
    types: frozenset[str]
    roots: frozenset[str] = frozenset()
    version: str = ""
    software_gpu: bool = False
    sandbox: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """A registered worker. It outlives its streams while it holds leases."""

    capability: Capability
    session: int | None = None
    """The open stream; None while it has none."""
    credit: int = 0
    """How many more leases it can take."""
    last_seen_at: float
    """Seconds since 1970."""
    load: float = 0.0
    leases: set[JobId] = field(default_factory=set[JobId])


class Fleet:
    """All workers. Chooses one for a job in time that does not grow with the number of busy ones."""

    def __init__(self, host_limits: Mapping[Category, int]) -> None:
        self.host_limits = dict(host_limits)
        self.workers: dict[WorkerId, Worker] = {}
        self._running: Counter[tuple[str, Category]] = Counter()
        self._ready: dict[WorkerId, Worker] = {}

    def worker_for(self, category: Category, job_type: str) -> Worker | None:
        """Return a worker that can take a job now, or None. The one chosen last comes last."""
        limit = self.host_limits[category]
        for worker in self._ready.values():
            capability = worker.capability
            if job_type in capability.types and self._running[capability.host, category] < limit:
                return worker
        return None

    def running_on(self, host: str, category: Category) -> int:
        """Return how many leases of *category* the workers of *host* hold."""
        return self._running[host, category]

    def any_ready(self) -> bool:
        """Return whether any worker can take a lease."""
        return bool(self._ready)

    def handling(self, job_type: str) -> list[Worker]:
        """Return the connected workers that handle *job_type*."""
        return [
            worker
            for worker in self.workers.values()
            if worker.session is not None and job_type in worker.capability.types
        ]

    def charge(self, worker: Worker, job: LiveJob) -> None:
        """Book the lease of *job* on *worker* and spend one credit."""
        worker.leases.add(job.id)
        worker.credit -= 1
        self._running[worker.capability.host, job.category] += 1
        self._ready.pop(worker.capability.id, None)
        self.update_ready(worker)

    def book(self, worker: Worker, job: LiveJob) -> None:
        """Book a lease that *worker* holds already."""
        worker.leases.add(job.id)
        self._running[worker.capability.host, job.category] += 1

    def release(self, job: LiveJob) -> None:
        """Take the lease of *job* off its worker's account. The credit is the worker's to give."""
        if job.worker_id is None or job.host is None:
            return
        self._running[job.host, job.category] -= 1
        worker = self.workers.get(job.worker_id)
        if worker is not None:
            worker.leases.discard(job.id)
            self.forget_if_gone(worker)

    def add_credit(self, worker: Worker, credit: int) -> None:
        """Let *worker* take *credit* more leases, never more than it has slots."""
        worker.credit = min(worker.credit + credit, worker.capability.slots)
        self.update_ready(worker)

    def void_credit(self, worker: Worker) -> None:
        """Grant nothing more to *worker* until it gives credit again."""
        worker.credit = 0
        self.update_ready(worker)

    def connect(self, capability: Capability, session: int, credit: int, now: float) -> Worker:
        """Register the worker's new stream and return the worker; leases of an earlier one stay."""
        known = self.workers.get(capability.id)
        if known is None:
            known = Worker(capability=capability, last_seen_at=now)
            self.workers[capability.id] = known
        known.capability = capability
        known.session = session
        known.credit = min(credit, capability.slots)
        known.last_seen_at = now
        self.update_ready(known)
        return known

    def disconnect(self, worker: Worker) -> None:
        """Note that the worker's stream is gone."""
        worker.session = None
        worker.credit = 0
        self.update_ready(worker)
        self.forget_if_gone(worker)

    def remember(self, worker_id: WorkerId, host: str, now: float) -> Worker:
        """Return the worker, made without a stream where it was not known."""
        capability = Capability(id=worker_id, host=host, slots=0, types=frozenset())
        return self.workers.setdefault(worker_id, Worker(capability=capability, last_seen_at=now))

    def silent(self, now: float, ttl_s: float) -> Iterable[Worker]:
        """Return the workers that gave no sign of life for *ttl_s*."""
        return [worker for worker in self.workers.values() if now - worker.last_seen_at > ttl_s]

    def suspend(self, worker: Worker) -> None:
        """Grant nothing to *worker* until it is heard again."""
        self._ready.pop(worker.capability.id, None)

    def update_ready(self, worker: Worker) -> None:
        """Let *worker* be chosen, or not, by its stream and credit."""
        if worker.session is not None and worker.credit > 0:
            self._ready.setdefault(worker.capability.id, worker)
        else:
            self._ready.pop(worker.capability.id, None)

    def forget_if_gone(self, worker: Worker) -> None:
        """Drop a worker that has neither a stream nor a lease."""
        if worker.session is None and not worker.leases:
            self.workers.pop(worker.capability.id, None)
