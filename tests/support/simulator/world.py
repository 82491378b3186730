"""Builds a system from a seed, lets people and faults loose on it, and waits until it comes to rest."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.domain.limits import SCOPE_OF, Scope
from callsheet_scheduler.use_cases.queues import NewLimits

from tests.support.simulator.cards import SIZES_MIB, Cards
from tests.support.simulator.chance import Chance
from tests.support.simulator.hellos import hello_of
from tests.support.simulator.laws import Book, LawBrokenError, Laws
from tests.support.simulator.loop import VirtualLoop
from tests.support.simulator.people import STORM_S, People
from tests.support.simulator.scheduler import RULES, TYPES, Scheduler
from tests.support.simulator.schedules import Planner, end_schedules
from tests.support.simulator.tables import Database, Recorder
from tests.support.simulator.traces import Traces
from tests.support.simulator.worker import Worker

#: Virtual seconds that the system may take to come to rest.
REST_S: Final = 900.0

#: How likely a run has schedules.
SCHEDULED: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run was."""

    seed: int
    jobs: int
    commits: int
    unknown: int
    terms: int
    attempts: int
    steps: int
    virtual_s: float
    states: dict[str, int]
    passers: int
    """Leases that were judged by a promise which they went past."""
    history: str
    """A digest of all that was written, in order, with its instants."""


class World:
    """One system and the people who use it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = Chance(seed)
        self.traces = Traces()
        self.book = Book()
        self.laws = Laws(self.book, self.traces)
        self.database = Database(self.chance, self.laws.committed)
        for scope, limit in RULES.host_limits.items():
            self.book.limits["*", scope] = limit
        random = self.chance.random
        self.cards = Cards(self.chance)
        self.laws.cards = self.cards
        self.schedulers = [
            Scheduler(f"s{number}", self.database, self.chance) for number in range(random.randint(1, 3))
        ]
        self.workers = [self._new_worker(number) for number in range(random.randint(1, 4))]
        self._return = random.choice((0.1, 0.01))
        """How likely a dead worker is started again at each look."""
        self._freezes: list[asyncio.Task[None]] = []
        largest_mib = max((card.memory_mib for card in self.cards.all), default=max(SIZES_MIB))
        self.people = People(
            self.chance,
            self.database,
            self.schedulers,
            self.book,
            vram_mib_max=largest_mib - RULES.ledger.margin_mib,
        )
        self.planner = Planner(self.chance, self.people.insist, self.laws.timekeeper, self.people.new_id)

    def _new_worker(self, number: int) -> Worker:
        random = self.chance.random
        names = [known.name for known in TYPES]
        types = frozenset(names) if number == 0 else frozenset(random.sample(names, random.randint(1, 3)))
        roots = ["media", "archive"] if number == 0 else random.sample(["media", "archive"], 1)
        cards = self.cards.all if number == 0 else self.cards.some()
        hello = hello_of(f"w{number}", f"h{number % 2}", random.randint(1, 6), types, roots, cards)
        return Worker(hello, self.schedulers, self.chance, self.traces, self.cards)

    # ---- the run ----

    async def run(self, loop: VirtualLoop) -> Report:
        """Let everything happen, and judge it."""
        loop.after_step(self._judge_step)
        names = [one.hello.worker_id for one in self.workers]
        people = [
            asyncio.ensure_future(self.people.person(names)) for _ in range(self.chance.random.randint(1, 3))
        ]
        if self.chance.random.random() < SCHEDULED:
            types = [known.name for known in TYPES]
            people += [
                asyncio.ensure_future(self.planner.person(f"plan-{number}", types))
                for number in range(self.chance.random.randint(1, 2))
            ]
        faults = asyncio.ensure_future(self._faults())
        await asyncio.wait({*people, faults})
        for task in (*people, faults):
            task.result()
        self.chance.calm = True
        await self._repair()
        await self._come_to_rest()
        engine = self._leader().current().engine
        self.laws.rested(self.database, engine)
        done = self.database.contents.done.values()
        return Report(
            seed=self.seed,
            jobs=len(self.database.contents.done) + len(self.database.contents.live),
            commits=self.database.commits,
            unknown=self.database.unknown,
            terms=self.database.term,
            attempts=len(self.traces.started),
            steps=loop.steps,
            virtual_s=loop.time(),
            states={state.name: sum(one.state is state for one in done) for state in JobState},
            passers=self.laws.promises.passers,
            history=self.database.history.hexdigest(),
        )

    def _judge_step(self) -> None:
        if self.database.faults:
            raise _innermost(self.database.faults[0])
        for scheduler in self.schedulers:
            if scheduler.term is not None:
                self.laws.stepped(scheduler.term.engine, scheduler.now())
            if scheduler.reasons and not self._understood(scheduler.reasons[-1]):
                message = f"the leader and its tables disagree: {scheduler.reasons[-1]}"
                raise LawBrokenError(message)
        self.laws.processes_are_charged(self.database.contents)

    @staticmethod
    def _understood(reason: str) -> bool:
        words = ("unknown", "connection was lost", "a later leadership")
        return any(word in reason for word in words)

    def _leader(self) -> Scheduler:
        return next(one for one in self.schedulers if one.term is not None)

    async def _repair(self) -> None:
        """End every fault that is under way."""
        self.database.full_until = 0.0
        self.cards.repair()
        self.book.held.clear()
        self.book.limits.clear()
        for scheduler in self.schedulers:
            if not scheduler.alive:
                scheduler.restart()
        for worker in self.workers:
            if not worker.alive:
                worker.begin()
        await end_schedules(self.database, self.people.insist, self.laws.timekeeper)
        for scope in list(self.database.contents.pauses):
            await self.people.insist(partial(_resume_scope, scope))
        for name in list(self.database.contents.drains):
            await self.people.insist(partial(_resume_worker, name))
        for scope in SCOPE_OF.values():
            await self.people.insist(partial(_lift_limits, scope))
        for scope, limit in RULES.host_limits.items():
            self.book.limits["*", scope] = limit

    async def _come_to_rest(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + REST_S
        while loop.time() < until:
            contents = self.database.contents
            for row in list(contents.live.values()):
                if row.job.state is JobState.PAUSED:
                    await self.people.insist(partial(_resume_job, row.job.id))
            for worker in self.workers:
                if not worker.alive:
                    worker.begin()
            leader = next((one for one in self.schedulers if one.term is not None), None)
            empty = not (contents.live or contents.outputs or contents.allocations or contents.inbox)
            if leader is not None and empty:
                engine = leader.current().engine
                if not any(worker.leases for worker in engine.fleet.workers.values()) and self._quiet():
                    await leader.current().commits.logs_written()
                    return
            await asyncio.sleep(1.0)

    def _quiet(self) -> bool:
        return all(
            worker.session.connected and not worker.session.undelivered and not worker.session.running
            for worker in self.workers
        )

    # ---- faults of whole processes ----

    async def _faults(self) -> None:
        loop = asyncio.get_running_loop()
        chance, faults = self.chance, self.chance.faults
        while loop.time() < STORM_S:
            await asyncio.sleep(0.25)
            if chance.strikes(faults.disk_full):
                self.database.full_until = loop.time() + chance.delay_s(3.0)
            if chance.strikes(faults.scheduler_deposed):
                self._depose()
            for scheduler in self.schedulers:
                if scheduler.alive and chance.strikes(faults.scheduler_killed):
                    scheduler.kill()
                    loop.call_later(chance.delay_s(4.0), scheduler.restart)
                elif scheduler.alive and chance.strikes(faults.scheduler_frozen):
                    scheduler.start(scheduler.freeze(chance.delay_s(6.0)))
            for worker in self.workers:
                self._trouble(worker)
            self.cards.trouble()

    def _depose(self) -> None:
        """Let another process take the lead; the one before learns of it later."""
        leader = self.database.leader
        if isinstance(leader, Scheduler):
            leader.deposed = self.chance.random.random() < 0.5
            self.database.leader = None

    def _trouble(self, worker: Worker) -> None:
        chance, faults = self.chance, self.chance.faults
        loop = asyncio.get_running_loop()
        if not worker.alive:
            if chance.random.random() < self._return:
                worker.begin()
        elif chance.strikes(faults.worker_killed):
            worker.kill()
        elif chance.strikes(faults.worker_frozen):
            self._freezes.append(loop.create_task(worker.freeze(chance.delay_s(8.0))))
        elif chance.strikes(faults.worker_restarted):
            worker.drain(chance.delay_s(3.0))


async def _resume_scope(scope: Scope, to: Scheduler) -> object:
    return await to.queues.resume(scope)


async def _resume_worker(name: str, to: Scheduler) -> object:
    return await to.workers.resume(name)


async def _lift_limits(scope: Scope, to: Scheduler) -> object:
    return await to.queues.limit(scope, NewLimits(clear_host=True, clear_fleet=True))


async def _resume_job(job_id: JobId, to: Scheduler) -> None:
    await to.actions.resume(job_id)


def _innermost(error: BaseException) -> BaseException:
    match error:
        case BaseExceptionGroup(exceptions=(BaseException() as first, *_)):
            return _innermost(first)
        case _:
            return error


def simulate(seed: int, *, recorder: Recorder | None = None) -> Report:
    """Run the system that *seed* describes; *recorder* is told of every commit.

    Raises:
        LawBrokenError: A law was broken, or a part failed; names the seed.
    """
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_run(seed, loop, recorder))
    except Exception as error:
        message = f"seed {seed}: {error!r}"
        raise LawBrokenError(message) from error
    finally:
        loop.wind_up()
        asyncio.set_event_loop(None)


async def _run(seed: int, loop: VirtualLoop, recorder: Recorder | None) -> Report:
    world = World(seed)
    if recorder is not None:
        world.database.recorder = recorder
    return await world.run(loop)
