"""One scheduler leads; the others stand by until its session with the database ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from callsheet.errors import UnavailableError
from callsheet.service.clock import Clock
from callsheet_scheduler.commits import Commits
from callsheet_scheduler.domain.days import Days
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.limits import Limits
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.store import control, leader, queue
from callsheet_scheduler.store.connection import LOST_CONNECTION, Own, Pool
from callsheet_scheduler.store.errors import StoreError, sorted_errors
from callsheet_scheduler.store.partitions import prepare_days
from callsheet_scheduler.store.pool import open_writer
from callsheet_scheduler.store.shared import Shared
from callsheet_scheduler.store.writing import QueueWriter

log = logging.getLogger(__name__)

#: Seconds between two attempts to lead.
CANDIDATE_PAUSE_S = 0.5

#: Seconds between two looks at the clock for expired leases and due retries.
TICK_S = 0.25

ValueT = TypeVar("ValueT")


@dataclass(slots=True, kw_only=True)
class Writers:
    """The connections of one leadership."""

    candidate: Own
    intake: Own
    turn: Own
    logs: Own
    library: Own
    readers: Pool

    def open_ones(self) -> tuple[Own, ...]:
        """Return all connections but the readers'."""
        return (self.candidate, self.intake, self.turn, self.logs, self.library)


@dataclass(slots=True, kw_only=True)
class Term:
    """One leadership: its engine and its lanes."""

    number: int
    commits: Commits
    library: Shared[Own]
    days: Days

    @property
    def engine(self) -> Engine:
        """The state of the queue."""
        return self.commits.engine

    async def write_library(self, work: Callable[[Own], Awaitable[ValueT]]) -> ValueT:
        """Do *work* on the connection for library rows in mid-job, and return what it returns."""
        return await self.library.use(work)

    async def write_control(self, work: Callable[[Own], Awaitable[ValueT]]) -> ValueT:
        """Do the one statement that keeps what an administrator decided, and what follows from it.

        Raises:
            UnavailableError: It was not written, or that is not known; repeating is safe.
        """

        async def sorted_work(connection: Own) -> ValueT:
            async with sorted_errors():
                return await work(connection)

        try:
            return await self.library.use(sorted_work)
        except StoreError as error:
            message = f"the database did not keep it; repeat the call: {error}"
            raise UnavailableError(message) from error


class Leadership:
    """Leads whenever it can. Whoever needs the leader asks ``current``."""

    def __init__(self, dsn: str, readers: Pool, rules: Rules, clock: Clock) -> None:
        self._dsn = dsn
        self._readers = readers
        self._rules = rules
        self._clock = clock
        self._term: Term | None = None
        self._new_term = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this process leads now."""
        return self._term is not None

    def current(self) -> Term:
        """Return the present leadership.

        Raises:
            UnavailableError: This process does not lead.
        """
        if self._term is None:
            message = "no scheduler leads here now; repeat the call"
            raise UnavailableError(message)
        return self._term

    async def leading(self) -> Term:
        """Wait until this process leads."""
        while self._term is None:
            await self._new_term.wait()
        return self._term

    async def run(self) -> None:
        """Lead, again and again, until cancelled."""
        while True:
            try:
                await self._lead_once()
            except (*LOST_CONNECTION, UnavailableError) as error:
                log.warning("the database is away or another scheduler leads: %s", error)
            await asyncio.sleep(CANDIDATE_PAUSE_S)

    async def _lead_once(self) -> None:
        candidate = await open_writer(self._dsn)
        opened = [candidate]
        try:
            while not await leader.try_candidate(candidate):  # noqa: ASYNC110 -- another process holds the key
                await asyncio.sleep(CANDIDATE_PAUSE_S)
            number = await leader.take_over(candidate)
            for _ in range(4):
                writer = await open_writer(self._dsn)
                opened.append(writer)
                await leader.join_term(writer, number)
            intake, turn, logs, library = opened[1:]
            writers = Writers(
                candidate=candidate,
                intake=intake,
                turn=turn,
                logs=logs,
                library=library,
                readers=self._readers,
            )
            await self._serve(number, writers)
        finally:
            for connection in opened:
                connection.terminate()

    async def _serve(self, number: int, writers: Writers) -> None:
        now = await self._database_clock(writers.candidate)
        days = Days(end=await prepare_days(writers.library, now=datetime.fromtimestamp(now(), UTC)))
        engine = Engine(term=number, rules=self._rules)
        for job in await queue.load_live(writers.turn):
            engine.restore(job, now())
        await _restore_controls(engine, writers.turn, now())
        commits = Commits(engine, QueueWriter(writers), now)
        self._term = Term(
            number=number,
            commits=commits,
            library=Shared(writers.library),
            days=days,
        )
        self._new_term.set()
        for connection in writers.open_ones():
            connection.add_termination_listener(lambda _: commits.step_down("a connection was lost"))
        log.info("leading", extra={"term": number, "live_jobs": len(engine.queue.jobs)})
        lanes = asyncio.create_task(commits.run())
        ticks = asyncio.create_task(self._tick(commits))
        try:
            await commits.lost.wait()
            log.warning("stepping down: %s", commits.reason)
        finally:
            self._term = None
            self._new_term.clear()
            commits.step_down("the scheduler stops")
            for running in (lanes, ticks):
                running.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await running

    async def _tick(self, commits: Commits) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            commits.engine.tick(commits.now())
            commits.flush()

    async def _database_clock(self, connection: Own) -> Callable[[], float]:
        """Return a clock that starts at the database's time and never goes back."""
        before = self._clock.monotonic()
        start = await leader.read_clock(connection)
        monotonic = self._clock.monotonic
        offset = start - (before + monotonic()) / 2
        return lambda: offset + monotonic()


async def _restore_controls(engine: Engine, connection: Own, now: float) -> None:
    controls = await control.load_controls(connection)
    engine.restore_controls(
        pauses=controls.pauses,
        limits=Limits(host=controls.host_limits, fleet=controls.fleet_limits),
        drained=controls.drained,
        outputs=await queue.load_outputs(connection),
        now=now,
    )
