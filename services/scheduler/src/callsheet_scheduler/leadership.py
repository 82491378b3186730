"""One scheduler leads; the others stand by until its session with the database ends.

The session is the right to lead: the leader renews it, and PostgreSQL ends it after ``ttl_s`` of silence.
Whatever this process answers as the leader it answers within ``ttl_s`` of sending a renewal that
succeeded, so a leader that was stopped or cut off falls silent before another one can begin.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from callsheet.errors import StandbyError, UnavailableError
from callsheet.service.clock import Clock, SystemClock
from callsheet.within import within
from callsheet_scheduler.commits import Commits
from callsheet_scheduler.domain.days import Days
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.immich import Servers
from callsheet_scheduler.domain.instants import Instants
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.limits import Limits
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.domain.schedules import Timetable
from callsheet_scheduler.store import control, leader, queue
from callsheet_scheduler.store.connection import LOST_CONNECTION, Own, Pool
from callsheet_scheduler.store.errors import OutcomeUnknownError, StoreError, sorted_errors
from callsheet_scheduler.store.footprints import load_footprints
from callsheet_scheduler.store.immich import load_servers
from callsheet_scheduler.store.ledger import load_ledger
from callsheet_scheduler.store.partitions import prepare_days
from callsheet_scheduler.store.pool import Writers, open_candidate, open_writer
from callsheet_scheduler.store.records import load_live
from callsheet_scheduler.store.schedules import load_timetable
from callsheet_scheduler.store.shared import Shared
from callsheet_scheduler.store.writing import QueueWriter

log = logging.getLogger(__name__)

#: Seconds between two attempts to lead.
CANDIDATE_PAUSE_S = 0.5

#: How often a leadership is renewed before it would run out.
RENEWALS = 5

#: Jobs that are taken over in one go, between which a renewal may happen.
RESTORED_AT_ONCE = 5_000

#: Seconds between two looks at the clock for expired leases and due retries.
TICK_S = 0.25

ValueT = TypeVar("ValueT")


@dataclass(slots=True, kw_only=True)
class Term:
    """One leadership: its engine and its lanes."""

    number: int
    commits: Commits
    library: Shared[Own]
    days: Days
    timetable: Timetable
    immich: Servers = field(default_factory=Servers)
    saved_types: dict[str, KnownType] = field(default_factory=dict[str, KnownType])
    """The job types of workers that it has written, by name."""
    collections: set[str] = field(default_factory=set[str])
    """Slugs of collections that are known to exist."""

    @property
    def engine(self) -> Engine:
        """The state of the queue."""
        return self.commits.engine

    async def write_library(self, work: Callable[[Own], Awaitable[ValueT]]) -> ValueT:
        """Do *work* on the connection for library rows in mid-job, and return what it returns."""
        return await self.library.use(work)

    async def write_control(self, work: Callable[[Own], Awaitable[ValueT]]) -> ValueT:
        """Do the one statement that keeps what was decided or declared, and what follows from it.

        Where it is not known whether that was written, memory and tables may differ: the leadership ends, and
        the next one reads.

        Raises:
            UnavailableError: It was not written, or that is not known; repeating is safe.
        """

        async def sorted_work(connection: Own) -> ValueT:
            async with sorted_errors():
                return await work(connection)

        try:
            return await self.library.use(sorted_work)
        except OutcomeUnknownError as error:
            self.commits.step_down(f"whether a decision was kept is unknown: {error}")
            raise UnavailableError("it may or may not have been kept; repeat the call") from error
        except StoreError as error:
            message = f"the database did not keep it; repeat the call: {error}"
            raise UnavailableError(message) from error


class Post(Enum):
    """Where this process stands."""

    AWAY = auto()
    """The database does not answer, or has not yet."""
    STANDS_BY = auto()
    BEGINS = auto()
    """It has become the candidate and takes over."""
    LEADS = auto()


async def _nothing(_: Own) -> None:
    """Prepare nothing."""


class Leadership:
    """Leads whenever it can. Whoever needs the leader asks ``current``."""

    def __init__(
        self,
        dsn: str,
        readers: Pool,
        rules: Rules,
        clock: Clock,
        *,
        ttl_s: float = 5.0,
        prepare: Callable[[Own], Awaitable[None]] = _nothing,
    ) -> None:
        """Prepare to lead.

        Args:
            dsn: The database.
            readers: For what the leader looks up.
            rules: What the engine decides by.
            clock: For the instants of the queue. How long this process may call itself the leader is
                measured by the machine's own.
            ttl_s: How long a leadership lasts that is not renewed.
            prepare: Called with a connection before each leadership, to read what it needs.
        """
        self._dsn = dsn
        self._readers = readers
        self._rules = rules
        self._clock = clock
        self._ttl_s = ttl_s
        self._prepare = prepare
        self._address = ""
        self._post = Post.AWAY
        self._leader = ""
        self._patience = SystemClock()
        self._heard_at = self._patience.monotonic()
        self._until = self._heard_at
        self._said = ""
        self._term: Term | None = None
        self._new_term = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this process leads, as far as it can know without asking."""
        term = self._term
        return (
            term is not None and not term.commits.lost.is_set() and self._patience.monotonic() < self._until
        )

    @property
    def healthy(self) -> bool:
        """Whether this process leads, or would if the leader ended."""
        stands_by = self._post is Post.STANDS_BY and self._patience.monotonic() - self._heard_at < self._ttl_s
        return self.leads or stands_by

    def current(self) -> Term:
        """Return the present leadership.

        Raises:
            UnavailableError: This process does not lead.
        """
        if self._term is None or not self.leads:
            message = "no scheduler leads here now; repeat the call"
            raise UnavailableError(message)
        return self._term

    def refusal(self) -> StandbyError | None:
        """Return what calls are answered with while this process does not lead."""
        if self.leads:
            return None
        match self._post:
            case Post.STANDS_BY if self._leader:
                return StandbyError(f"this scheduler stands by; {self._leader} leads", leader=self._leader)
            case Post.STANDS_BY:
                return StandbyError("this scheduler stands by, and does not know yet which one leads")
            case Post.BEGINS:
                return StandbyError("this scheduler begins to lead; repeat the call in a moment")
            case _:
                return StandbyError("no scheduler leads here: the database does not answer; repeat the call")

    async def leading(self) -> Term:
        """Wait until this process leads."""
        while self._term is None:
            await self._new_term.wait()
        return self._term

    async def run(self, address: str = "") -> None:
        """Lead, again and again, until cancelled; other schedulers send their callers to *address*."""
        self._address = address
        while True:
            try:
                await self._lead_once()
            except (*LOST_CONNECTION, UnavailableError) as error:
                self._say(f"does not lead: {str(error) or type(error).__name__}")
            self._post = Post.AWAY
            await asyncio.sleep(CANDIDATE_PAUSE_S)

    async def _lead_once(self) -> None:
        candidate = await open_candidate(self._dsn, ttl_s=self._ttl_s)
        opened = [candidate]
        try:
            await self._stand_by(candidate)
            self._post = Post.BEGINS
            since, asked_at = self._patience.monotonic(), self._clock.monotonic()
            beginning = await leader.take_over(candidate, self._address)
            self._until = since + self._ttl_s
            now = self._instants(beginning, asked_at)
            renewing = asyncio.create_task(self._renew(candidate, beginning.term, now))
            leading = asyncio.create_task(self._lead(opened, beginning.term, now))
            try:
                ended, _ = await asyncio.wait({renewing, leading}, return_when=asyncio.FIRST_COMPLETED)
                for part in ended:
                    part.result()
            finally:
                for part in (leading, renewing):
                    part.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await part
        finally:
            for connection in opened:
                connection.terminate()

    async def _stand_by(self, candidate: Own) -> None:
        """Wait until no other process leads."""
        while True:
            async with within(self._ttl_s):
                standing = await leader.try_candidate(candidate)
            if standing.won:
                return
            self._heard_at = self._patience.monotonic()
            self._leader = standing.leader if standing.leader != self._address else ""
            self._post = Post.STANDS_BY
            self._say(f"stands by; {self._leader or 'another scheduler'} leads")
            await asyncio.sleep(CANDIDATE_PAUSE_S)

    async def _renew(self, candidate: Own, term: int, now: Callable[[], float]) -> None:
        """Keep the leadership; ends with the error that says why it was not kept."""
        while True:
            since = self._patience.monotonic()
            left_s = self._until - since
            if left_s <= 0:
                raise UnavailableError(f"leadership {term} was not renewed in time")
            await leader.renew(candidate, term, at=now(), deadline_s=left_s)
            self._until = since + self._ttl_s
            await asyncio.sleep(self._ttl_s / RENEWALS)

    async def _lead(self, opened: list[Own], term: int, now: Callable[[], float]) -> None:
        for _ in range(4):
            writer = await open_writer(self._dsn)
            opened.append(writer)
            await leader.join_term(writer, term)
        candidate, intake, turn, logs, library = opened
        writers = Writers(
            candidate=candidate,
            intake=intake,
            turn=turn,
            logs=logs,
            library=library,
            readers=self._readers,
        )
        await self._prepare(library)
        await self._serve(term, writers, now)

    async def _serve(self, number: int, writers: Writers, now: Callable[[], float]) -> None:
        days = Days(end=await prepare_days(writers.library, now=datetime.fromtimestamp(now(), UTC)))
        engine = Engine(term=number, rules=self._rules)
        with _uncollected():
            jobs = await load_live(writers.turn)
            kept = await load_ledger(writers.turn, jobs, now=now())
            engine.restore_ledger(kept.accounts, kept.charges)
            for count, job in enumerate(jobs, start=1):
                engine.restore(job, now())
                if count % RESTORED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            needed = engine.queue.knots.unknown(engine.queue.jobs)
            done = await queue.find_done(writers.turn, needed)
            engine.restore_ties({job_id: one.state for job_id, one in done.items()}, now())
        await _restore_controls(engine, writers.turn, now())
        timetable = await load_timetable(writers.turn)
        engine.footprints.restore(await load_footprints(writers.turn))
        commits = Commits(engine, QueueWriter(writers), now)
        for connection in writers.open_ones():
            connection.add_termination_listener(lambda _: commits.step_down("a connection was lost"))
        self._term = Term(
            number=number,
            commits=commits,
            library=Shared(writers.library),
            days=days,
            timetable=timetable,
            immich=await load_servers(writers.turn),
        )
        self._post = Post.LEADS
        self._new_term.set()
        self._said = ""
        log.info("leading", extra={"term": number, "live_jobs": len(engine.queue.jobs)})
        lanes = asyncio.create_task(commits.run())
        ticks = asyncio.create_task(self._tick(commits))
        for part in (lanes, ticks):
            part.add_done_callback(partial(_end_with, commits))
        try:
            await commits.lost.wait()
            log.warning("stepping down: %s", commits.reason)
        finally:
            self._term = None
            self._new_term.clear()
            gc.unfreeze()
            commits.step_down("the leadership was not renewed, or the scheduler stops")
            for running in (lanes, ticks):
                running.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await running

    async def _tick(self, commits: Commits) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            commits.engine.tick(commits.now())
            commits.flush()

    def _instants(self, beginning: leader.Beginning, asked_at: float) -> Callable[[], float]:
        """Return the clock of a leadership that was asked for at *asked_at*."""
        monotonic = self._clock.monotonic
        instants = Instants(began_at=beginning.now, last_at=beginning.last_at)
        if instants.steps_back:
            log.error(
                "the database's clock went back %.0f s; instants follow it",
                beginning.last_at - beginning.now,
            )
        origin = (asked_at + monotonic()) / 2
        return lambda: instants.after(monotonic() - origin)

    def _say(self, what: str) -> None:
        """Log where this process stands, once."""
        if what != self._said:
            self._said = what
            log.warning("this scheduler %s", what)


def _end_with(commits: Commits, part: asyncio.Task[None]) -> None:
    """End the leadership that *part* belongs to, if *part* has failed."""
    if not part.cancelled() and (fault := part.exception()) is not None:
        log.error("a part of the leadership failed", exc_info=fault)
        commits.step_down("a part of it failed")


@contextmanager
def _uncollected() -> Generator[None]:
    """Keep the garbage collector away from what is loaded, then and later.

    A million jobs are no garbage. To look through them takes seconds, in which nothing else happens.
    """
    gc.unfreeze()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


async def _restore_controls(engine: Engine, connection: Own, now: float) -> None:
    controls = await control.load_controls(connection)
    engine.restore_controls(
        pauses=controls.pauses,
        limits=Limits(host=controls.host_limits, fleet=controls.fleet_limits),
        drained=controls.drained,
        outputs=await queue.load_outputs(connection),
        now=now,
    )
