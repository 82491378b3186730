"""A scheduler's queue in the test's own process, on a real database and a clock that can be moved."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex

import asyncpg
from callsheet_scheduler.domain.effects import Output, SendAck, SendGrant, SessionMessage
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import JobId, Token, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.history import HistoryStore
from callsheet_scheduler.store.minutes import MinutesStore
from callsheet_scheduler.store.pool import open_lists, open_readers
from callsheet_scheduler.store.records import read_done
from callsheet_scheduler.store.sizes import read_sizes
from callsheet_scheduler.use_cases.actions import Actions
from callsheet_scheduler.use_cases.devices import Devices
from callsheet_scheduler.use_cases.grants import Attempt, Completion, Grants, Session
from callsheet_scheduler.use_cases.job_logs import JobLogs
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import Jobs, Submission
from callsheet_scheduler.use_cases.views import Views

from callsheet.service.clock import SystemClock
from tests.support.patience import PATIENCE_S

DAY = timedelta(days=1)


def id_at(instant: datetime) -> JobId:
    """Return a UUIDv7 of *instant*."""
    digits = f"{int(instant.timestamp() * 1000):012x}7{token_hex(2)[:3]}a{token_hex(8)[:15]}"
    return JobId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")


class MovedClock:
    """The machine's clock, as far ahead as a test has moved it."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self._real.now() + self.ahead

    def monotonic(self) -> float:
        return self._real.monotonic() + self.ahead.total_seconds()


class Hands:
    """A worker's end of its session: keeps what it is told."""

    def __init__(self) -> None:
        self.grants: list[SendGrant] = []
        self.acks: list[SendAck] = []
        self.told = asyncio.Event()

    def add(self, message: SessionMessage) -> None:
        match message:
            case SendGrant():
                self.grants.append(message)
            case SendAck():
                self.acks.append(message)
            case _:
                pass
        self.told.set()


class Leader:
    """Submits jobs and does them."""

    def __init__(
        self, leadership: Leadership, readers: asyncpg.Pool, history: HistoryStore, clock: MovedClock
    ) -> None:
        types = JobTypes()
        self.leadership = leadership
        self.types = types
        self.past = partial(read_done, readers)
        self.jobs = Jobs(leadership, types, self.past, partial(read_sizes, readers))
        self.actions = Actions(leadership, types, self.past)
        minutes = MinutesStore(readers)
        self.views = Views(leadership, history, minutes)
        self.devices = Devices(leadership, minutes)
        self.logs = JobLogs(leadership, history)
        self.clock = clock
        self.grants = Grants(leadership, types, self.jobs)
        self.hands = Hands()
        self.session: Session | None = None

    @property
    def term(self) -> Term:
        """The present leadership."""
        return self.leadership.current()

    def now(self) -> datetime:
        """The leader's time."""
        return datetime.fromtimestamp(self.term.commits.now(), UTC)

    async def submit(self, *, ids: Sequence[JobId] = (), run_at: datetime | None = None) -> list[JobId]:
        """Submit a job of each id, or one of a fresh id."""
        run_at_s = None if run_at is None else run_at.timestamp()
        wanted = [
            Submission(id=job_id, type="public_scan", params='{"directoryType": "a"}', run_at=run_at_s)
            for job_id in ids or [id_at(self.now())]
        ]
        return [job.id for job in await self.jobs.submit(wanted)]

    async def granted(self, *ids: JobId) -> list[SendGrant]:
        """Give a worker slots for these jobs and wait until it holds them all."""
        await self.open(slots=1000, credit=1000)
        await self.told(lambda: {grant.job.id for grant in self.hands.grants} >= set(ids))
        return [grant for grant in self.hands.grants if grant.job.id in ids]

    async def finish(self, *ids: JobId, ending: Ending | None = None, output: str | None = None) -> None:
        """Let a worker complete these jobs, or end them otherwise, and wait for the commits."""
        for grant in await self.granted(*ids):
            self.end(grant, ending=ending, output=output)
        self.term.commits.flush()
        await self.told(lambda: {ack.job_id for ack in self.hands.acks} >= set(ids))

    async def work_off(self, count: int, *, slots: int = 500, returned: int = 0) -> None:
        """Let a worker do *count* jobs as they come, and hand each back *returned* times before."""
        await self.open(slots=slots, credit=slots)
        total = count * (1 + returned)
        while len(self.hands.acks) < total:
            await self.told(lambda: bool(self.hands.grants) or len(self.hands.acks) >= total)
            grants, self.hands.grants = self.hands.grants, []
            for grant in grants:
                self.end(grant, ending=Ending.RETURNED if grant.attempt <= returned else None)
            self.give_credit(len(grants))
        self.leave()

    async def open(self, *, slots: int, credit: int, held: Sequence[tuple[JobId, Token]] = ()) -> None:
        """Let a worker come, as a new one."""
        self.leave()
        self.hands = Hands()
        capability = Capability(
            id=WorkerId("w"),
            host="h",
            slots=slots,
            types=frozenset({"public_scan"}),
            roots=frozenset({"library"}),
        )
        self.session, _ = await self.grants.open(capability, [], credit, held, self.hands)

    def leave(self) -> None:
        """Let the worker go, if there is one."""
        if self.session is not None:
            self.grants.close(self.session, for_good=True)
            self.session = None

    def give_credit(self, credit: int) -> None:
        """Let the worker take more jobs."""
        self.term.engine.credit(WorkerId("w"), credit, self.term.commits.now())
        self.term.engine.plan(self.term.commits.now())
        self.term.commits.flush()

    def say(self, grant: SendGrant, *texts: str, first: int = 1) -> None:
        """Let an attempt add to its log, in pieces numbered from *first* on."""
        assert self.session is not None
        chunks = [(grant.job.id, grant.token, number, text) for number, text in enumerate(texts, first)]
        self.grants.add_logs(self.session, chunks)

    def end(
        self,
        grant: SendGrant,
        *,
        ending: Ending | None = None,
        output: str | None = None,
        follow_ups: Sequence[Submission] = (),
    ) -> None:
        """Complete an attempt, or end it otherwise."""
        assert self.session is not None
        now = self.term.commits.now()
        attempt = Attempt(job_id=grant.job.id, token=grant.token, started_at=now, ended_at=now)
        if ending is not None:
            self.grants.ended(self.session, attempt, Outcome(ending=ending, reason="it broke"), now)
            return
        outputs = [
            Output(job_id=attempt.job_id, token=attempt.token, root="made", path=path, staged_path=path)
            for path in ([] if output is None else [output])
        ]
        self.grants.completed(
            self.session, attempt, Completion(result="{}", outputs=outputs, follow_ups=follow_ups), now
        )

    def yield_to(self, grant: SendGrant, children: int) -> list[JobId]:
        """Let an attempt give way to so many new jobs, and return their ids."""
        assert self.session is not None
        now = self.term.commits.now()
        attempt = Attempt(job_id=grant.job.id, token=grant.token, started_at=now, ended_at=now)
        ids = [id_at(self.now()) for _ in range(children)]
        wanted = [
            Submission(id=job_id, type="public_scan", params='{"directoryType": "a"}') for job_id in ids
        ]
        outcome = Outcome(ending=Ending.YIELDED, checkpoint="{}")
        self.grants.yielded(self.session, attempt, outcome, wanted, now)
        self.term.commits.flush()
        return ids

    async def told(self, enough: Callable[[], bool]) -> None:
        """Wait until the worker was told enough."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough():
                self.hands.told.clear()
                await self.hands.told.wait()


@asynccontextmanager
async def leader(dsn: str) -> AsyncGenerator[Leader]:
    """Lead on a database until the block ends."""
    clock = MovedClock()
    readers = await open_readers(dsn, connections_max=4)
    lists = open_lists(dsn, connections_max=2)
    leadership = Leadership(dsn, readers, Rules(host_limits=dict.fromkeys(SCOPE_OF.values(), 1000)), clock)
    leading = asyncio.create_task(leadership.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await leadership.leading()
        yield Leader(leadership, readers, HistoryStore(lists, readers), clock)
    finally:
        leading.cancel()
        with suppress(asyncio.CancelledError):
            await leading
        await lists.dispose()
        readers.terminate()
