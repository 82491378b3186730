"""Lets GPU jobs run in virtual time on the production engine, each for as long as the test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from callsheet_scheduler.domain.device import KeptAccount
from callsheet_scheduler.domain.effects import Brought
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.footprint import KeptFootprint
from callsheet_scheduler.domain.job import JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.patience import BackfillRules, Policy
from callsheet_scheduler.domain.reservations import Reservation
from callsheet_scheduler.domain.rules import Rules

from tests.support.engines import START
from tests.support.gpu_fleet import GpuFleet

#: Runs of a type that the engine has seen from the beginning.
RUNS_KNOWN = 10


def engine_with(policy: Policy = Policy.EASY, *, patience_s: float = 600.0, term: int = 1) -> Engine:
    """Return an engine that backfills so."""
    return Engine(term=term, rules=Rules(backfill=BackfillRules(policy=policy, patience_s=patience_s)))


@dataclass
class GpuRuns(GpuFleet):
    """A fleet whose jobs run for as long as they are said to, and then complete."""

    engine: Engine = field(default_factory=engine_with)
    run_s: dict[JobId, float] = field(default_factory=dict)
    """How long each job really runs."""
    started_at: dict[JobId, float] = field(default_factory=dict)
    ended_at: dict[JobId, float] = field(default_factory=dict)
    promises: dict[JobId, tuple[float, float]] = field(default_factory=dict)
    """Of each job that ever had a reservation: when it got the first, and for when."""
    _arrivals: list[tuple[float, int, LiveJob]] = field(default_factory=list)
    _endings: list[tuple[float, int, JobId]] = field(default_factory=list)
    _number: int = 0

    def know(self, run_s: Mapping[str, float]) -> None:
        """Let the engine have seen runs of these types, each as long as the next."""
        self.engine.footprints.restore(
            KeptFootprint(
                key=(name, None),
                runs=RUNS_KNOWN,
                run_s=[known] * RUNS_KNOWN,
                need_mib=[],
            )
            for name, known in run_s.items()
        )

    def arrive(self, job: LiveJob, *, run_s: float, after_s: float = 0.0) -> LiveJob:
        """Let *job* be submitted after a while; when it is granted it runs for *run_s*."""
        self.run_s[job.id] = run_s
        self._number += 1
        job.created_at = self.now + after_s
        heappush(self._arrivals, (job.created_at, self._number, job))
        return job

    def go(self, seconds: float = float("inf"), *, tick_s: float = 1.0) -> None:
        """Let time pass until nothing happens any more, and no longer than *seconds*."""
        until = self.now + seconds
        while self.now < until:
            instants = [self._arrivals[0][0]] if self._arrivals else []
            instants += [self._endings[0][0]] if self._endings else []
            if not instants and seconds == float("inf"):
                return
            self.now = min([*instants, self.now + tick_s, until])
            self._happen()

    def reservations(self) -> list[Reservation]:
        """Return the reservations that there are."""
        return self.engine.backfill.reservations.kept

    def kept_account(self, name: str = "GPU-1") -> KeptAccount:
        """Return the account of a card as its row would be."""
        account = self.account(name)
        return KeptAccount(card=account.card, host=account.host, bounds=account.bounds)

    def _happen(self) -> None:
        for worker in self.engine.fleet.workers.values():
            self.engine.heard(worker.capability.id, load=0.0, now=self.now)
        while self._endings and self._endings[0][0] <= self.now:
            self._end(heappop(self._endings)[2])
        self.settle()
        self._start()
        while self._arrivals and self._arrivals[0][0] <= self.now:
            self.submit(heappop(self._arrivals)[2])
        self.wait(0.0)
        for one in self.reservations():
            self.promises.setdefault(one.job.id, (self.now, one.at))
        self._start()

    def _start(self) -> None:
        for grant in self.grants():
            job = grant.job
            self.engine.started(WorkerId(job.worker_id or ""), job.id, job.token, self.now)
            self.started_at[job.id] = self.now
            self._number += 1
            heappush(self._endings, (self.now + self.run_s[job.id], self._number, job.id))

    def _end(self, job_id: JobId) -> None:
        job = self.engine.queue.jobs[job_id]
        worker = self.engine.fleet.workers[WorkerId(job.worker_id or "")]
        assert worker.session is not None
        self.engine.completed(
            (worker.capability.id, worker.session),
            (job.id, job.token),
            Brought(),
            span=(job.started_at, self.now),
        )
        self.engine.credit(worker.capability.id, 1, self.now)
        self.ended_at[job_id] = self.now

    def waited_s(self, job: LiveJob) -> float:
        """Return how long *job* waited."""
        return self.started_at[job.id] - job.created_at


def fresh(policy: Policy = Policy.EASY, *, patience_s: float = 600.0) -> GpuRuns:
    """Return a fleet without limits."""
    runs = GpuRuns(engine=engine_with(policy, patience_s=patience_s), now=START)
    runs.unlimited()
    return runs
