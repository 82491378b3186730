"""Rounds of chance on a real database: GPU workers come, work, are killed and return; leaders end."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Final

import asyncpg
from callsheet_scheduler.domain.device import SOFTWARE, Card, DeviceId, LeaseKey, Reading
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.use_cases.grants import Attempt, Completion, Session
from callsheet_scheduler.use_cases.jobs import Submission

from callsheet.catalog import Category
from callsheet.errors import UnavailableError
from callsheet.ids import new_job_id
from tests.support.gpu_fleet import MARGIN_MIB, card
from tests.support.leader import Hands, Leader
from tests.support.patience import PATIENCE_S

TYPES: Final = (
    KnownType(
        name="render",
        description="",
        category=Category.GPU_ENCODE,
        vram_mib=500,
        run_limit_s=600,
        params_schema="{}",
    ),
    KnownType(
        name="label",
        description="",
        category=Category.GPU_AI,
        vram_mib=1_500,
        run_limit_s=600,
        params_schema="{}",
    ),
)

#: Rows that no instant may show: accounts that are not the sum of what is charged, or overdrawn, and leases
#: that are not charged, or charged twice over.
FAULTS: Final = """
SELECT 'account ' || d.uuid AS fault
FROM device AS d
LEFT JOIN (
    SELECT device, sum(vram_mib) AS vram_mib, sum(encoder_sessions) AS sessions
    FROM allocation GROUP BY device
) AS s ON s.device = d.uuid
WHERE d.allocated_mib <> coalesce(s.vram_mib, 0) OR d.encoder_sessions <> coalesce(s.sessions, 0)
    OR d.allocated_mib > d.capacity_mib - d.margin_mib OR d.encoder_sessions > d.encoder_sessions_max
UNION ALL
SELECT 'lease ' || coalesce(l.id, a.job_id)
FROM (SELECT * FROM job_live WHERE state = 2 AND device IS NOT NULL AND device <> 'software') AS l
FULL JOIN (SELECT * FROM allocation WHERE lingers_since IS NULL) AS a
    ON a.job_id = l.id AND a.token = l.token AND a.device = l.device AND a.vram_mib = l.vram_mib
WHERE l.id IS NULL OR a.job_id IS NULL
"""


@dataclass(slots=True, kw_only=True, eq=False)
class GpuWorker:
    """A worker process, and what its children hold."""

    name: str
    host: str
    cards: tuple[Card, ...]
    hands: Hands = field(default_factory=Hands)
    session: Session | None = None
    held: dict[LeaseKey, tuple[str, int]] = field(default_factory=dict)
    """The GPU and the MiB that the children of each lease hold."""
    heard_at: float = 0.0
    """When it last spoke with a leader."""

    def take(self) -> None:
        """Begin what was granted."""
        for grant in self.hands.grants:
            self.held[grant.job.id, grant.token] = (grant.job.device or SOFTWARE, grant.job.vram_mib)
        self.hands.grants.clear()

    def used_mib(self, device: DeviceId) -> int:
        """Return how much of a GPU its children hold."""
        return sum(vram_mib for name, vram_mib in self.held.values() if name == device)


class Rounds:
    """The fleet: two workers on one card, and two more hosts with a card each."""

    def __init__(self, queue: Leader, watch: asyncpg.Connection, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 -- a run must be repeatable
        self.queue = queue
        self.watch = watch
        self.kills = self.takeovers = self.granted = 0
        self.devices: set[str] = set()
        """GPUs that jobs were granted."""
        for known in TYPES:
            queue.types.learn(known)
        shared = card("GPU-shared", 6_000, sessions=3)
        self.workers = [
            GpuWorker(name="a1", host="atlas", cards=(shared,)),
            GpuWorker(name="a2", host="atlas", cards=(shared,)),
            GpuWorker(name="b1", host="borea", cards=(card("GPU-borea", 4_000, sessions=2),)),
            GpuWorker(name="c1", host="ceres", cards=(card("GPU-ceres", 3_000), shared)),
        ]

    async def play(self) -> None:
        """Let a few things happen, and judge the tables."""
        doings = (self._submit, self._work, self._work, self._kill, self._look, self._pass_time, self._depose)
        for doing in self.random.choices(doings, weights=(6, 8, 8, 3, 4, 2, 1), k=4):
            try:
                await doing()
            except UnavailableError:
                await self._lead_again()
            self._begin_what_came()
        await self._judge()

    async def wind_up(self) -> None:
        """Let all work end, and judge that nothing is charged."""
        async with asyncio.timeout(4 * PATIENCE_S):
            while self.queue.term.engine.queue.jobs or self.queue.term.engine.ledger.lingering:
                idle = True
                for worker in self.workers:
                    if worker.session is None:
                        await self.come(worker)
                    self._begin_what_came()
                    idle = idle and not worker.held
                    self._end(worker, list(worker.held), None)
                await self.queue.term.commits.quiet()
                self._begin_what_came()
                if idle and not any(worker.held for worker in self.workers):
                    self.pass_seconds(1_000)
                await self._look()
        await self.queue.term.commits.quiet()
        await self._judge()
        assert await self.watch.fetchval("SELECT count(*) FROM allocation") == 0
        assert await self.watch.fetchval("SELECT sum(allocated_mib + encoder_sessions) FROM device") == 0

    # ---- what happens ----

    async def _submit(self) -> None:
        submissions = [
            Submission(
                id=new_job_id(),
                type=known.name,
                params="{}",
                vram_mib=self.random.randint(known.vram_mib, 3_000),
                max_retries=20,
            )
            for known in self.random.choices(TYPES, k=self.random.randint(1, 6))
        ]
        await self.queue.jobs.submit(submissions)

    async def _work(self) -> None:
        worker = self.random.choice(self.workers)
        if worker.session is None:
            await self.come(worker)
        leases = list(worker.held)
        some = self.random.sample(leases, self.random.randint(0, len(leases)))
        self._end(worker, some, self.random.choice((None, None, Ending.RETURNED, Ending.TRANSIENT)))
        await self.queue.term.commits.quiet()

    async def _kill(self) -> None:
        worker = self.random.choice(self.workers)
        self.kills += 1
        worker.held.clear()
        self._cut(worker)

    async def _look(self) -> None:
        for worker in self.workers:
            if worker.session is None:
                continue
            term, now = self.queue.term, self.queue.term.commits.now()
            worker.heard_at = now
            term.engine.heard(worker.session.worker_id, load=0.0, now=now)
            readings = {one.id: self._reading(worker, one) for one in worker.cards}
            term.engine.observed(worker.session.worker_id, readings, now)
        self._tick()

    async def _pass_time(self) -> None:
        self.pass_seconds(self.random.choice((5, 35, 35, 1_000)))

    async def _depose(self) -> None:
        self.queue.term.commits.step_down("the test wants another leader")
        await self._lead_again()

    # ---- parts ----

    async def come(self, worker: GpuWorker) -> None:
        """Let a worker open a stream; one without a card does without."""
        self._cut(worker)
        worker.hands = Hands()
        capability = Capability(
            id=WorkerId(worker.name),
            host=worker.host,
            slots=8,
            types=frozenset(known.name for known in TYPES),
            cards=worker.cards,
            software_gpu=not worker.cards,
        )
        credit = max(0, 8 - len(worker.held))
        held = list(worker.held)
        worker.session, stale = await self.queue.grants.open(capability, [], credit, held, worker.hands)
        worker.heard_at = self.queue.term.commits.now()
        for lease in stale:
            del worker.held[lease]

    async def leave(self, worker: GpuWorker) -> None:
        """Let a worker end its stream, with nothing more to do."""
        assert worker.session is not None
        self.queue.grants.close(worker.session, for_good=True)
        worker.session = None
        self.queue.term.commits.flush()
        await self.queue.term.commits.quiet()

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass; a worker that hears nothing for too long stops its attempts."""
        self._begin_what_came()
        self.queue.clock.ahead += timedelta(seconds=seconds)
        now, rules = self.queue.term.commits.now(), self.queue.term.engine.rules.ledger
        for worker in self.workers:
            if now - worker.heard_at > rules.orphan_limit_s:
                worker.held.clear()
        self._tick()

    def _cut(self, worker: GpuWorker) -> None:
        if worker.session is not None:
            self.queue.grants.close(worker.session, for_good=False)
            worker.session = None

    def _end(self, worker: GpuWorker, leases: list[LeaseKey], ending: Ending | None) -> None:
        assert worker.session is not None
        term = self.queue.term
        worker.heard_at = now = term.commits.now()
        for job_id, token in leases:
            del worker.held[job_id, token]
            attempt = Attempt(job_id=job_id, token=token, started_at=now, ended_at=now)
            if ending is None:
                self.queue.grants.completed(worker.session, attempt, Completion(peak_vram_mib=400), now)
            else:
                outcome = Outcome(ending=ending, reason="by chance", peak_vram_mib=300)
                self.queue.grants.ended(worker.session, attempt, outcome, now)
        term.engine.credit(worker.session.worker_id, len(leases), now)
        self._tick()

    def _begin_what_came(self) -> None:
        for worker in self.workers:
            self.granted += len(worker.hands.grants)
            self.devices |= {grant.job.device or SOFTWARE for grant in worker.hands.grants}
            self._say_what_began(worker)
            worker.take()
        for one in {one.id: one for worker in self.workers for one in worker.cards}.values():
            used_mib = self._used_mib(one.id)
            assert used_mib <= one.memory_mib - MARGIN_MIB, f"{one.id} is filled with {used_mib} MiB"

    def _say_what_began(self, worker: GpuWorker) -> None:
        if worker.session is not None and self.queue.leadership.leads and self.random.random() < 0.7:
            term = self.queue.term
            for grant in worker.hands.grants:
                term.engine.started(WorkerId(worker.name), grant.job.id, grant.token, term.commits.now())

    def _used_mib(self, device: DeviceId) -> int:
        return sum(worker.used_mib(device) for worker in self.workers)

    def _reading(self, worker: GpuWorker, one: Card) -> Reading:
        strangers_mib = self.random.choice((0, 0, 0, 700))
        return Reading(
            used_mib=self._used_mib(one.id) + strangers_mib,
            ours_mib=worker.used_mib(one.id),
            held=frozenset(lease for lease, (name, _) in worker.held.items() if name == one.id),
        )

    def _tick(self) -> None:
        term = self.queue.term
        term.engine.tick(term.commits.now())
        term.commits.flush()

    async def _lead_again(self) -> None:
        self.takeovers += 1
        for worker in self.workers:
            worker.session = None
        async with asyncio.timeout(PATIENCE_S):
            while not self.queue.leadership.leads:  # noqa: ASYNC110 -- the term that was lost may still stand
                await asyncio.sleep(0.01)
        now = self.queue.term.commits.now()
        for worker in self.workers:
            worker.heard_at = min(worker.heard_at, now)  # a new leader's instants may lie behind
            if self.random.random() < 0.7:
                await self.come(worker)

    async def _judge(self) -> None:
        faults = await self.watch.fetch(FAULTS)
        assert [row["fault"] for row in faults] == []
