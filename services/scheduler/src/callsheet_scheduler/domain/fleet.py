"""The workers, the leases they hold, and the limits per host."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import Card
from callsheet_scheduler.domain.job import JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.limits import ALL, SCOPE_OF, Limits, Scope, scopes_of
from callsheet_scheduler.domain.loads import EVERYWHERE, Loads

#: Stands, in what a job needs, between the root that it reads and the one that it writes to.
WRITES: Final = ">"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a worker said of itself."""

    id: WorkerId
    host: str
    slots: int
    types: frozenset[str]
    roots: frozenset[str] = frozenset()
    writable_roots: frozenset[str] = frozenset()
    version: str = ""
    software_gpu: bool = False
    sandbox: tuple[str, ...] = ()
    sandbox_lacks: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    """The GPUs that it can give to its jobs."""

    def reaches(self, root: str | None) -> bool:
        """Whether it reaches what a job's `LiveJob.root` names: reads the first, writes to the second."""
        return _reaches(root, self.roots, self.writable_roots)

    @property
    def takes_gpu_jobs(self) -> bool:
        """Whether it has a GPU, or does without."""
        return bool(self.cards) or self.software_gpu


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
    draining: bool = False
    """An administrator lets it take no leases."""
    leaving: bool = False
    """It lets itself take no leases: it is about to go."""
    leases: set[JobId] = field(default_factory=set[JobId])
    turn: int = 0
    """Grows with every worker that is chosen: the one with the least was chosen the longest ago."""

    @classmethod
    def absent(
        cls, worker_id: WorkerId, host: str = "", *, draining: bool = False, at: float = 0.0
    ) -> "Worker":
        """Return a worker of which nothing but this is known."""
        capability = Capability(id=worker_id, host=host, slots=0, types=frozenset())
        return cls(capability=capability, last_seen_at=at, draining=draining)


_Reach = tuple[frozenset[str], frozenset[str], frozenset[str]]
Peers = dict[WorkerId, Worker]
"""Workers that can run the same jobs, by identity, the one chosen last at the end."""


class Fleet:
    """All workers. Chooses one for a job in time that does not grow with how many there are."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.workers: dict[WorkerId, Worker] = {}
        self.drained: dict[WorkerId, float | None] = {}
        """Drained workers, connected or not, and the grace in seconds that their attempts have."""
        self.touched: set[str] = set()
        """Hosts whose GPU workers may be able to take more than was known, or less."""
        self._loads = Loads()
        self._ready: dict[_Reach, Peers] = {}
        """Workers that can take a lease, by the types and roots that they handle."""
        self._full: dict[str, Peers] = {}
        """By host: workers left out of those, since no more CPU jobs may run on it."""
        self._ready_for_gpu_jobs: Peers = {}
        self._ready_without_card: Peers = {}
        self._on_host: dict[str, Peers] = {}
        self._turn = 0

    @property
    def limits(self) -> Limits:
        """How many jobs may run, by scope."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        for host in list(self._full):
            self._reopen(host)
        self.touched.update(self._on_host)

    def worker_for(
        self, category: Category, job_type: str, root: str | None, *, at_once: bool = False
    ) -> Worker | None:
        """Return a worker that can take such a job now, or None. The one chosen last comes last.

        A lease that is written *at_once*, before the ends that are being written, cannot have the place of
        one of these.
        """
        scopes = scopes_of(category, job_type)
        if self.full_scope(scopes, at_once=at_once) is not None:
            return None
        best: Worker | None = None
        for (types, roots, writable), peers in self._ready.items():
            if job_type in types and _reaches(root, roots, writable):
                found = self._first(peers, scopes, at_once=at_once)
                if found is not None and (best is None or found.turn < best.turn):
                    best = found
        return best

    def _first(self, peers: Peers, scopes: tuple[Scope, Scope, Scope], *, at_once: bool) -> Worker | None:
        """Return the first of *peers* whose host may run more, and leave out those whose host is full."""
        full: list[Worker] = []
        found: Worker | None = None
        for worker in peers.values():
            host = worker.capability.host
            scope = self.full_scope_on(host, scopes)
            if scope is None:
                if not at_once or self.full_scope_on(host, scopes, at_once=True) is None:
                    found = worker
                    break
            elif scope in _OF_CPU:
                full.append(worker)
        for worker in full:
            del peers[worker.capability.id]
            self._full.setdefault(worker.capability.host, {})[worker.capability.id] = worker
        return found

    def _reopen(self, host: str) -> None:
        """Let the workers of *host* be chosen again that were left out since it was full."""
        for worker in self._full.pop(host, {}).values():
            self.update_ready(worker)

    def full_scope(self, scopes: Iterable[Scope], *, at_once: bool = False) -> Scope | None:
        """Return the first of *scopes* of which no more jobs may run anywhere."""
        limits = self._limits.fleet
        if limits:
            for scope in scopes:
                limit = limits.get(scope)
                if limit is not None and self._places(EVERYWHERE, scope, at_once=at_once) >= limit:
                    return scope
        return None

    def full_scope_on(self, host: str, scopes: Iterable[Scope], *, at_once: bool = False) -> Scope | None:
        """Return the first of *scopes* of which no more jobs may run on *host*."""
        limits = self._limits.host
        for scope in scopes:
            limit = limits.get(scope)
            if limit is not None and self._places(host, scope, at_once=at_once) >= limit:
                return scope
        return None

    def _places(self, place: str, scope: Scope, *, at_once: bool) -> int:
        running = self._loads.running(place, scope)
        return running + self._loads.ending(place, scope) if at_once else running

    def running_on(self, host: str, scope: Scope) -> int:
        """Return how many leases of *scope* the workers of *host* hold."""
        return self._loads.running(host, scope)

    def running(self, scope: Scope) -> int:
        """Return how many leases of *scope* there are."""
        return self._loads.running(EVERYWHERE, scope)

    def spare(self, worker: Worker, category: Category, job_type: str) -> int:
        """Return how many such jobs *worker*, which was chosen for one, can take in a row.

        One where others could take them as well, since workers take turns.
        """
        if len(self._ready) > 1 or len(self._ready.get(_reach_of(worker), ())) > 1:
            return 1
        scopes, host, limits = scopes_of(category, job_type), worker.capability.host, self._limits
        room = worker.credit
        for place, limited in ((host, limits.host), (EVERYWHERE, limits.fleet)):
            for scope in scopes:
                limit = limited.get(scope)
                if limit is not None:
                    room = min(room, limit - self._loads.running(place, scope))
        return room

    def any_ready(self) -> bool:
        """Return whether any worker can take a lease, as far as is known."""
        return any(self._ready.values())

    def ready_for_gpu_jobs(self) -> Collection[Worker]:
        """Return the workers that can take a lease of a GPU job."""
        return self._ready_for_gpu_jobs.values()

    def ready_without_card(self) -> Collection[Worker]:
        """Return those of them that do GPU jobs in software; the one chosen last comes last."""
        return self._ready_without_card.values()

    def on_host(self, host: str) -> Collection[Worker]:
        """Return the workers of *host* that are known."""
        return self._on_host.get(host, {}).values()

    def is_ready_for_gpu_jobs(self, worker_id: WorkerId) -> bool:
        """Return whether a worker can take a lease of a GPU job."""
        return worker_id in self._ready_for_gpu_jobs

    def handling(self, job_type: str) -> list[Worker]:
        """Return the connected workers that handle *job_type*."""
        return [
            worker
            for worker in self.workers.values()
            if worker.session is not None and job_type in worker.capability.types
        ]

    def drain(self, worker_id: WorkerId, *, draining: bool, grace_s: float | None) -> Worker | None:
        """Let a worker take no leases, or take them again; return it where it is known."""
        if draining:
            self.drained[worker_id] = grace_s
        else:
            self.drained.pop(worker_id, None)
        worker = self.workers.get(worker_id)
        if worker is not None:
            worker.draining = draining
            self.update_ready(worker)
        return worker

    def charge(self, worker: Worker, jobs: Sequence[LiveJob]) -> None:
        """Book the leases of *jobs*, which are of one kind, on *worker* and spend its credit."""
        host, first = worker.capability.host, jobs[0]
        worker.leases.update([job.id for job in jobs])
        worker.credit -= len(jobs)
        self._turn += 1
        worker.turn = self._turn
        self._loads.count(host, first, running=len(jobs))
        self._touch(host, first)
        if worker.credit <= 0:
            self.suspend(worker)
            return
        _move_to_end(self._ready.get(_reach_of(worker), {}), worker)
        _move_to_end(self._ready_without_card, worker)

    def book(self, worker: Worker, job: LiveJob) -> None:
        """Book a lease that *worker* holds already."""
        worker.leases.add(job.id)
        if job.host is not None:
            self._loads.count(job.host, job, running=1)

    def release(self, job: LiveJob) -> None:
        """Take the lease of *job* off its worker's account. The credit is the worker's to give."""
        self._take_off(job, ending=0)

    def end(self, job: LiveJob) -> None:
        """Release the lease of *job*, whose end is about to be written."""
        self._take_off(job, ending=1)

    def ended(self, job: LiveJob) -> None:
        """The end of the lease of *job* is written."""
        if job.host is not None:
            self._loads.count(job.host, job, ending=-1)

    def _take_off(self, job: LiveJob, *, ending: int) -> None:
        host = job.host
        if job.worker_id is None or host is None:
            return
        self._loads.count(host, job, running=-1, ending=ending)
        self._touch(host, job)
        if host in self._full:
            self._reopen(host)
        worker = self.workers.get(job.worker_id)
        if worker is not None:
            worker.leases.discard(job.id)
            if worker.session is None:
                self.forget_if_gone(worker)

    def _touch(self, host: str, job: LiveJob) -> None:
        """The load of *host* changed by *job*."""
        if job.category is not Category.CPU or ALL in self._limits.host:
            self.touched.add(host)

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
        self.suspend(known)
        self._leave_host(known)
        known.capability = capability
        known.session = session
        known.credit = min(credit, capability.slots)
        known.last_seen_at = now
        known.draining = capability.id in self.drained
        known.leaving = False
        self._on_host.setdefault(capability.host, {})[capability.id] = known
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
        known = self.workers.get(worker_id)
        if known is None:
            draining = worker_id in self.drained
            known = self.workers[worker_id] = Worker.absent(worker_id, host, draining=draining, at=now)
            self._on_host.setdefault(host, {})[worker_id] = known
        return known

    def silent(self, now: float, ttl_s: float) -> Iterable[Worker]:
        """Return the workers that gave no sign of life for *ttl_s*."""
        return [worker for worker in self.workers.values() if now - worker.last_seen_at > ttl_s]

    def suspend(self, worker: Worker) -> None:
        """Grant nothing to *worker* until it is heard again."""
        capability = worker.capability
        peers = self._ready.get(_reach_of(worker))
        if peers is not None and peers.pop(capability.id, None) is not None and not peers:
            del self._ready[_reach_of(worker)]
        if self._ready_for_gpu_jobs.pop(capability.id, None) is not None:
            self._ready_without_card.pop(capability.id, None)
            self.touched.add(capability.host)

    def update_ready(self, worker: Worker) -> None:
        """Let *worker* be chosen, or not."""
        stays = not worker.draining and not worker.leaving
        if worker.session is not None and worker.credit > 0 and stays:
            capability = worker.capability
            peers = self._ready.setdefault(_reach_of(worker), {})
            peers.setdefault(capability.id, worker)
            if capability.takes_gpu_jobs and capability.id not in self._ready_for_gpu_jobs:
                self._ready_for_gpu_jobs[capability.id] = worker
                self.touched.add(capability.host)
                if not capability.cards:
                    self._ready_without_card[capability.id] = worker
        else:
            self.suspend(worker)

    def forget_if_gone(self, worker: Worker) -> None:
        """Drop a worker that has neither a stream nor a lease."""
        if worker.session is None and not worker.leases:
            self.workers.pop(worker.capability.id, None)
            self._leave_host(worker)

    def _leave_host(self, worker: Worker) -> None:
        host = worker.capability.host
        others = self._on_host.get(host)
        if others is not None and others.pop(worker.capability.id, None) is not None and not others:
            del self._on_host[host]
            self._full.pop(host, None)
            self._loads.forget(host)


def _reaches(root: str | None, roots: frozenset[str], writable: frozenset[str]) -> bool:
    if root is None or root in roots:
        return True
    read, writes, written = root.partition(WRITES)
    return bool(writes) and (not read or read in roots) and written in writable


def _reach_of(worker: Worker) -> _Reach:
    capability = worker.capability
    return capability.types, capability.roots, capability.writable_roots


def _move_to_end(peers: Peers, worker: Worker) -> None:
    if len(peers) > 1 and peers.pop(worker.capability.id, None) is not None:
        peers[worker.capability.id] = worker


#: The scopes besides its type that a CPU job lies in.
_OF_CPU: Final = frozenset({ALL, SCOPE_OF[Category.CPU]})
