"""Drives the engine without a database: every effect is committed at once, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from callsheet_scheduler.domain.device import Card
from callsheet_scheduler.domain.effects import (
    Brought,
    FinishJob,
    InsertJobs,
    Message,
    NewRow,
    ReleaseLease,
    Revocation,
    SendGrant,
    SendRevoke,
    TurnEffect,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.limits import ALL, SCOPE_OF, Limits, Pause, Scope
from callsheet_scheduler.domain.outcome import Ending, Outcome, Rung
from callsheet_scheduler.domain.rules import Rules

from callsheet.catalog import Category
from callsheet.ids import new_job_id

START = 1_800_000_000.0

#: The scopes that `new_job` lies in, the widest first.
CPU = SCOPE_OF[Category.CPU]
SCAN = Scope("scan")
SCOPES = (ALL, CPU, SCAN)


def new_job(engine: Engine, *, at: float = START, **changes: object) -> LiveJob:
    """Return a fresh CPU job of type scan."""
    values: dict[str, object] = {
        "id": JobId(new_job_id()),
        "sequence": engine.next_sequence(),
        "type": "scan",
        "category": Category.CPU,
        "priority": 5,
        "interactive": False,
        "vram_mib": 0,
        "max_retries": 3,
        "request_hash": 0,
        "parent_id": None,
        "created_at": at,
        "run_at": None,
    }
    return LiveJob(**cast("dict[str, Any]", values | changes))


@dataclass
class Drive:
    """An engine whose commits succeed, at once unless it is *slow*."""

    engine: Engine = field(default_factory=lambda: Engine(term=1, rules=Rules()))
    now: float = START
    sent: list[Message] = field(default_factory=list)
    finished: list[FinishJob] = field(default_factory=list)
    released: list[ReleaseLease] = field(default_factory=list)
    request: int = 0
    slow: bool = False
    """Nothing is committed until the test says so."""

    def settle(self) -> None:
        """Commit everything, and what follows from it."""
        while not self.slow and (self.engine.intake or self.engine.turn):
            self.commit_intake()
            self.commit_turn()
        self.sent += self.engine.messages
        self.engine.messages = []

    def commit_intake(self) -> None:
        """Commit the submissions that are there."""
        inserts: list[InsertJobs] = self.engine.intake[:]
        self.engine.intake.clear()
        self.engine.inserted(inserts, self.now)

    def commit_turn(self) -> None:
        """Commit the turn that is there."""
        turn: list[TurnEffect] = self.engine.turn[:]
        self.engine.turn.clear()
        for effect in turn:
            if isinstance(effect, FinishJob):
                self.finished.append(effect)
            if isinstance(effect, ReleaseLease):
                self.released.append(effect)
            self.engine.committed(effect, self.now)
        self.engine.plan(self.now)

    def submit(self, *jobs: LiveJob) -> None:
        """Submit *jobs* in one request."""
        self.request += 1
        self.engine.submit(self.request, [NewRow(job=job, params="{}") for job in jobs], self.now)
        self.settle()

    def hello(
        self,
        worker: str = "w1",
        *,
        session: int = 1,
        slots: int = 5,
        host: str = "atlas",
        types: Sequence[str] = ("scan",),
        roots: Sequence[str] = (),
        read_only: Sequence[str] = (),
        held: Sequence[tuple[JobId, Token]] = (),
        cards: Sequence[Card] = (),
        software_gpu: bool = False,
    ) -> list[tuple[JobId, Token]]:
        """Connect a worker."""
        capability = Capability(
            id=WorkerId(worker),
            host=host,
            slots=slots,
            types=frozenset(types),
            roots=frozenset(roots),
            writable_roots=frozenset(roots) - frozenset(read_only),
            cards=tuple(cards),
            software_gpu=software_gpu,
        )
        stale = self.engine.hello(capability, session, slots - len(held), held, self.now)
        self.settle()
        return stale

    def grants(self) -> list[SendGrant]:
        """Return the leases that were sent, and forget all that was sent."""
        grants = [message for message in self.sent if isinstance(message, SendGrant)]
        self.sent.clear()
        return grants

    def complete(self, grant: SendGrant, worker: str = "w1") -> None:
        """Let the worker report success and give its credit back."""
        lease = (grant.job.id, grant.token)
        self.engine.completed(
            (WorkerId(worker), grant.session),
            lease,
            Brought(),
            span=(self.now, self.now),
        )
        self.engine.credit(WorkerId(worker), 1, self.now)
        self.settle()

    def fail(
        self,
        grant: SendGrant,
        ending: Ending,
        worker: str = "w1",
        *,
        rung: Rung = Rung.NONE,
        checkpoint: str | None = None,
    ) -> None:
        """Let the worker report that the attempt ended without success."""
        self.engine.ended(
            (WorkerId(worker), grant.session),
            (grant.job.id, grant.token),
            Outcome(ending=ending, reason="it broke", rung=rung, checkpoint=checkpoint),
            span=(self.now, self.now),
            now=self.now,
        )
        self.engine.credit(WorkerId(worker), 1, self.now)
        self.settle()

    def pause_scope(self, scope: Scope) -> None:
        """Pause *scope*."""
        self.engine.pause_scope(Pause(scope=scope, at=self.now, by="ann"))

    def limit(
        self, *, host: Mapping[Scope, int] | None = None, fleet: Mapping[Scope, int] | None = None
    ) -> None:
        """Let these be all limits that people decided on."""
        self.engine.set_limits(Limits(host=host or {}, fleet=fleet or {}), self.now)
        self.settle()

    def drain(self, worker: str = "w1", *, draining: bool = True, grace_s: float | None = None) -> None:
        """Drain a worker, or let it work again."""
        self.engine.set_drain(WorkerId(worker), draining=draining, grace_s=grace_s, now=self.now)
        self.settle()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.engine.tick(self.now)
        self.settle()


def in_state(state: JobState) -> tuple[Drive, LiveJob]:
    """Return a job in *state*; where it is leased, w1 holds it."""
    drive = Drive()
    job = new_job(drive.engine)
    if state in LEASED:
        drive.hello()
    drive.submit(job)
    if state is JobState.RUNNING:
        drive.engine.started(WorkerId("w1"), job.id, job.token, START)
    if state is JobState.PAUSED:
        drive.engine.pause(job, START)
        drive.settle()
    assert job.state is state
    return drive, job


def revoked(drive: Drive) -> list[Revocation]:
    return [message.what for message in drive.sent if isinstance(message, SendRevoke)]


def grant_of(drive: Drive) -> SendGrant:
    [grant] = drive.grants()
    return grant


def behind_a_full_worker(drive: Drive, *, jobs: int = 1) -> list[LiveJob]:
    """Submit *jobs* that have to wait, behind a worker with one busy slot."""
    drive.hello(slots=1)
    drive.submit(new_job(drive.engine))
    drive.grants()
    waiting = [new_job(drive.engine) for _ in range(jobs)]
    drive.submit(*waiting)
    assert [job.state for job in waiting] == [JobState.PENDING] * jobs
    return waiting
