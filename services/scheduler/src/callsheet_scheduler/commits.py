"""Carries what the engine decides to the database and to the workers.

There are three lanes: submissions, turns, and logs. An error that leaves the outcome of a write unknown
ends the leadership: nothing more is written or said, and the next one reads the tables.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from typing_extensions import override

from callsheet.errors import OverloadedError, UnavailableError
from callsheet_scheduler.commit_lane import CommitLane, Ledge
from callsheet_scheduler.domain.effects import (
    Fate,
    FinishJob,
    FreeVram,
    GrantLease,
    KeepDevice,
    LookUp,
    Message,
    NewRow,
    ReleaseLease,
    ReviveJob,
    SendAck,
    SettleOutput,
    Taken,
    TurnEffect,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.intake_lane import IntakeLedge, Surroundings
from callsheet_scheduler.log_lane import Followers, LogLedge
from callsheet_scheduler.metrics import count_turn
from callsheet_scheduler.outlets import Outbox, Tables
from callsheet_scheduler.store.errors import DisagreementError, OutcomeUnknownError, StoreError
from callsheet_scheduler.store.queue import DoneJob, LogRow

log = logging.getLogger(__name__)

#: Log pieces that may wait to be written before workers are told to slow down.
LOGS_WAITING_MAX: Final = 20_000

#: Bytes that a row of the library is taken to have.
ROW_BYTES: Final = 512

ValueT = TypeVar("ValueT")


class Commits:
    """Carries the engine's effects to the database and its messages to the sessions."""

    def __init__(self, engine: Engine, tables: Tables, now: Callable[[], float]) -> None:
        self.engine = engine
        self.now = now
        self.outboxes: dict[int, Outbox] = {}
        self.lost = asyncio.Event()
        """Set when this leadership is over."""
        self.reason = ""
        self.followers = Followers()
        self._tables = tables
        self._submissions = IntakeLedge(
            Surroundings(engine=engine, tables=tables, now=now, flush=self.flush, resolve=self.resolve)
        )
        self._intake = CommitLane(self._submissions, "intake")
        self._turn = CommitLane(_Turn(self, tables), "turn")
        self._logs = CommitLane(LogLedge(tables.logs, self.followers), "logs")
        self._waiting: dict[JobId, list[asyncio.Future[None]]] = {}
        self._lookups: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the lanes until the leadership is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._intake.run())
                group.create_task(self._turn.run())
                group.create_task(self._logs.run())
        except* OutcomeUnknownError as unknown:
            self.step_down(f"the outcome of a commit is unknown: {unknown.exceptions[0]}")
        except* DisagreementError as disagreement:
            self.step_down(str(disagreement.exceptions[0]))

    def step_down(self, reason: str) -> None:
        """End this leadership: everybody who waits is told to repeat."""
        if self.lost.is_set():
            return
        self.reason = reason
        self.lost.set()
        error = UnavailableError("the scheduler begins a new leadership; repeat the call")
        self._submissions.give_up(error)
        for waiting in self._waiting.values():
            for settled in waiting:
                _fail(settled, error)
        for lane in (self._intake, self._turn, self._logs):
            lane.give_up(error)
        self.followers.tell_all()

    # ---- what the use cases call ----

    async def submit(self, rows: list[NewRow], *, taken: Taken | None = None) -> dict[JobId, DoneJob]:
        """Insert all of *rows*, none of which is live, and wait for the commit.

        *taken* is the row of the inbox that asks for them and goes with it.

        Returns:
            Those that were not inserted because the same submission is in history.

        Raises:
            ConflictError: An id belongs to another job; nothing was inserted.
            OverloadedError: The database takes nothing more at present.
            UnavailableError: The leadership ended meanwhile; the outcome is unknown.
        """
        self._must_lead()
        return await self._submissions.submit(rows, taken)

    async def settled(self, job_id: JobId) -> None:
        """Wait until no statement about the job is under way."""
        self._must_lead()
        while (job := self.engine.queue.jobs.get(job_id)) is not None and job.busy:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(job_id, []).append(future)
            await future

    async def quiet(self) -> None:
        """Wait until every decision made so far is written."""
        self._must_lead()
        await self._intake.settled()
        await self._turn.settled()

    async def logs_written(self) -> None:
        """Wait until the log text that was added so far is written."""
        self._must_lead()
        await self._logs.settled()

    def waiting_by_lane(self) -> dict[str, int]:
        """Return how much waits to be written in each lane, by its name."""
        return {lane.name: len(lane) for lane in (self._intake, self._turn, self._logs)}

    def add_logs(self, rows: Sequence[LogRow]) -> None:
        """Write log text soon.

        Raises:
            OverloadedError: Too much of it waits already.
        """
        if len(self._logs) + len(rows) > LOGS_WAITING_MAX:
            message = "too much log text waits to be written"
            raise OverloadedError(message)
        self._logs.add(rows)

    def when_logs_kept(self, then: Callable[[], None]) -> None:
        """Call *then* once all log text that was added so far is durable."""
        self._logs.when_settled(lambda: None if self.lost.is_set() else then())

    def flush(self) -> None:
        """Take what the engine wants written or sent. To be called after every event."""
        engine = self.engine
        if engine.intake:
            self._intake.add(engine.intake)
            engine.intake.clear()
        if engine.turn:
            self._turn.add(engine.turn)
            engine.turn.clear()
        if engine.messages:
            messages, engine.messages = engine.messages, []
            if not self.lost.is_set():
                for message in messages:
                    self._send(message)

    # ---- what the lanes call ----

    def resolve(self, ids: Iterable[JobId]) -> None:
        """Wake who waits for the end of a statement about one of *ids*, or follows it."""
        if self._waiting or self.followers:
            for job_id in ids:
                self.followers.tell(job_id)
                for future in self._waiting.pop(job_id, ()):
                    if not future.done():
                        future.set_result(None)

    def halt(self, *, halted: bool, reason: str = "") -> None:
        """Grant nothing and take nothing in, or go on."""
        if self.engine.halted == halted:
            return
        self.engine.halted = halted
        if halted:
            log.error("the database takes nothing more: %s", reason)
        else:
            log.warning("the database takes writes again")

    # ---- messages ----

    def _must_lead(self) -> None:
        if self.lost.is_set():
            message = "this scheduler does not lead now; repeat the call"
            raise UnavailableError(message)

    def _send(self, message: Message) -> None:
        outbox = self.outboxes.get(message.session)
        if outbox is None:
            return
        if isinstance(message, LookUp):
            lookup = asyncio.get_running_loop().create_task(self._look_up(message))
            self._lookups.add(lookup)
            lookup.add_done_callback(self._lookups.discard)
        else:
            outbox.add(message)

    async def _look_up(self, message: LookUp) -> None:
        """Answer a result for a job that is not live; one that cannot be answered is sent again."""
        with suppress(StoreError):
            if message.yielded:
                stood = await self._tables.has_yielded(message.job_id, message.token)
            else:
                done = await self._tables.look_up(message.job_id)
                stood = done is not None and done.token == message.token
                stood = stood and done is not None and message.completed == (done.state is JobState.COMPLETED)
            fate = Fate.DUPLICATE if stood else Fate.STALE
            if not self.lost.is_set():
                self._send(
                    SendAck(session=message.session, job_id=message.job_id, token=message.token, fate=fate)
                )


class _Turn(Ledge[TurnEffect]):
    """Everything that happens to jobs that are live."""

    def __init__(self, commits: Commits, tables: Tables) -> None:
        self._commits = commits
        self._tables = tables

    @override
    def weigh(self, item: TurnEffect) -> tuple[int, int]:
        match item:
            case GrantLease():
                return 1, 0
            case FinishJob(follow_ups=(), library=None):
                return 1, len(item.result or "")
            case FinishJob():
                texts = len(item.result or "") + sum(len(row.params) for row in item.follow_ups)
                rows = 0 if item.library is None else len(item.library.items) + len(item.library.derivatives)
                return 1 + len(item.follow_ups), texts + rows * ROW_BYTES
            case ReleaseLease():
                texts = sum(len(row.params) for row in item.follow_ups)
                return 1 + len(item.follow_ups), len(item.reason) + texts
            case _:
                return 1, 0

    @override
    async def write(self, batch: Sequence[TurnEffect]) -> None:
        await self._tables.turn(batch, now=self._commits.now())

    @override
    def committed(self, batch: Sequence[TurnEffect]) -> None:
        commits, now = self._commits, self._commits.now()
        commits.halt(halted=False)
        count_turn(batch, now, commits.engine.waits)
        for effect in batch:
            commits.engine.committed(effect, now)
        commits.resolve(job_id for effect in batch for job_id in _settled_by(effect))
        commits.engine.plan(now)
        commits.flush()

    @override
    def refused(self, item: TurnEffect, reason: str) -> TurnEffect | None:
        if isinstance(item, ReviveJob):
            self._commits.engine.revival_refused(item, self._commits.now())
            self._commits.resolve([item.job.id])
            return None
        if not isinstance(item, FinishJob | ReleaseLease) or not item.brings:
            raise DisagreementError(reason)
        added = [job_id for job_id in _settled_by(item) if job_id != item.job.id]
        instead = self._commits.engine.finish_refused(item, reason, self._commits.now())
        self._commits.resolve(added)
        self._commits.flush()
        return instead

    @override
    def exhausted(self, item: TurnEffect, reason: str) -> bool:
        self._commits.halt(halted=True, reason=reason)
        return True


def _settled_by(effect: TurnEffect) -> list[JobId]:
    """Return the jobs about which nothing is under way once *effect* is written."""
    match effect:
        case SettleOutput() | KeepDevice() | FreeVram():
            return []
        case FinishJob() | ReleaseLease():
            return [effect.job.id, *(row.job.id for row in (*effect.follow_ups, *effect.known))]
        case _:
            return [effect.job.id]


def _fail(future: asyncio.Future[ValueT], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()
