"""Group commit: what the engine wants written goes to the database in three lanes.

Each lane has one transaction under way; what arrives meanwhile rides the next. A definite error rolls
back and the batch is halved until the guilty row stands alone; any other error leaves the outcome
unknown, and then this leadership is over: nothing more is written or said, and the next one reads the
tables.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from callsheet.errors import CallsheetError, ConflictError, InvalidError, OverloadedError, UnavailableError
from callsheet_scheduler.domain.effects import (
    Fate,
    FinishJob,
    InsertJobs,
    LookUp,
    NewRow,
    ReleaseLease,
    SendAck,
    SendGrant,
    SendRevoke,
    TurnEffect,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.store import queue
from callsheet_scheduler.store.connection import LOST_CONNECTION, Own, Pool
from callsheet_scheduler.store.errors import DEFINITE, reason_of
from callsheet_scheduler.store.queue import LogRow
from callsheet_scheduler.store.turn import write_turn

log = logging.getLogger(__name__)

#: Jobs in one transaction; a client's own batch may be larger.
BATCH_MAX: Final = 500

#: Log pieces that may wait to be written before workers are told to slow down.
LOGS_WAITING_MAX: Final = 20_000

ValueT = TypeVar("ValueT")


class Outbox(Protocol):
    """Where messages for one session go; sending is the session's own affair."""

    def grant(self, message: SendGrant) -> None:
        """Add a lease."""
        ...

    def acknowledge(self, message: SendAck) -> None:
        """Add an answer to a result."""
        ...

    def revoke(self, message: SendRevoke) -> None:
        """Add an attempt to end."""
        ...


class Connections(Protocol):
    """One connection for each lane, and a way to read."""

    intake: Own
    turn: Own
    logs: Own
    readers: Pool


class Commits:
    """Carries the engine's effects to the database and its messages to the sessions."""

    def __init__(self, engine: Engine, connections: Connections, now: Callable[[], float]) -> None:
        self.engine = engine
        self.now = now
        self.outboxes: dict[int, Outbox] = {}
        self.lost = asyncio.Event()
        """Set when this leadership is over."""
        self.reason = ""
        self._connections = connections
        self._intake: list[InsertJobs] = []
        self._turn: list[TurnEffect] = []
        self._logs: list[LogRow] = []
        self._wake = {name: asyncio.Event() for name in ("intake", "turn", "logs")}
        self._submissions: dict[int, asyncio.Future[dict[JobId, queue.DoneJob]]] = {}
        self._waiting: dict[JobId, list[asyncio.Future[None]]] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._request = 0

    async def run(self) -> None:
        """Run the lanes until the leadership is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run_lane("intake", self._commit_intake))
                group.create_task(self._run_lane("turn", self._commit_turn))
                group.create_task(self._run_lane("logs", self._commit_logs))
        except* LOST_CONNECTION as group_error:
            self.step_down(f"the outcome of a commit is unknown: {group_error.exceptions[0]}")
        except* queue.DisagreementError as group_error:
            self.step_down(str(group_error.exceptions[0]))

    def step_down(self, reason: str) -> None:
        """End this leadership: everybody who waits is told to repeat."""
        if self.lost.is_set():
            return
        self.reason = reason
        self.lost.set()
        error = UnavailableError("the scheduler begins a new leadership; repeat the call")
        for submission in self._submissions.values():
            _fail(submission, error)
        for waiting in self._waiting.values():
            for settled in waiting:
                _fail(settled, error)

    # ---- what the use cases call ----

    async def submit(self, rows: list[NewRow]) -> dict[JobId, queue.DoneJob]:
        """Insert all of *rows*, none of which is live, and wait for the commit.

        Returns:
            Those that were not inserted because the same submission is in history.

        Raises:
            ConflictError: An id belongs to another job; nothing was inserted.
            UnavailableError: The leadership ended meanwhile; the outcome is unknown.
        """
        self._must_lead()
        self._request += 1
        request = self._request
        future: asyncio.Future[dict[JobId, queue.DoneJob]] = asyncio.get_running_loop().create_future()
        self._submissions[request] = future
        self.engine.submit(request, rows, self.now())
        self.flush()
        try:
            return await future
        finally:
            self._submissions.pop(request, None)

    async def settled(self, job_id: JobId) -> None:
        """Wait until no statement about the job is under way."""
        self._must_lead()
        while (job := self.engine.queue.jobs.get(job_id)) is not None and job.busy:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(job_id, []).append(future)
            await future

    def add_logs(self, rows: Sequence[LogRow]) -> None:
        """Write log text soon.

        Raises:
            OverloadedError: Too much of it waits already.
        """
        if len(self._logs) + len(rows) > LOGS_WAITING_MAX:
            message = "too much log text waits to be written"
            raise OverloadedError(message)
        self._logs.extend(rows)
        self._wake["logs"].set()

    def flush(self) -> None:
        """Take what the engine wants written or sent. To be called after every event."""
        engine = self.engine
        if engine.intake:
            self._intake.extend(engine.intake)
            engine.intake.clear()
            self._wake["intake"].set()
        if engine.turn:
            self._turn.extend(engine.turn)
            engine.turn.clear()
            self._wake["turn"].set()
        if engine.messages:
            messages = engine.messages
            engine.messages = []
            for message in messages:
                self._send(message)

    # ---- lanes ----

    async def _run_lane(self, name: str, commit: Callable[[], Awaitable[bool]]) -> None:
        wake = self._wake[name]
        while not self.lost.is_set():
            await wake.wait()
            wake.clear()
            while await commit():
                pass

    async def _commit_intake(self) -> bool:
        batch: list[InsertJobs] = []
        rows = 0
        while self._intake and (not batch or rows + len(self._intake[0].rows) <= BATCH_MAX):
            effect = self._intake.pop(0)
            batch.append(effect)
            rows += len(effect.rows)
        if not batch:
            return False
        connection = self._connections.intake
        done = await queue.find_done(connection, [row.job.id for effect in batch for row in effect.rows])
        fresh = [effect for effect in batch if self._without_done(effect, done)] if done else batch
        if fresh:
            await self._insert(connection, fresh)
        self.flush()
        return True

    async def _insert(self, connection: Own, batch: list[InsertJobs]) -> None:
        try:
            async with connection.transaction():
                await queue.insert_jobs(connection, [row for effect in batch for row in effect.rows])
        except DEFINITE as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._insert(connection, batch[:middle])
                await self._insert(connection, batch[middle:])
            else:
                self.engine.insert_refused(batch[0], self.now())
                self._answer(batch[0], InvalidError(reason_of(error)))
            return
        now = self.now()
        for effect in batch:
            self.engine.inserted(effect, now)
            self._answer(effect, None)
            self._resolve(row.job.id for row in effect.rows)
        self.flush()

    def _without_done(self, effect: InsertJobs, done: dict[JobId, queue.DoneJob]) -> bool:
        """Take out what is in history already; False where nothing is left to insert."""
        known = [row for row in effect.rows if row.job.id in done]
        if not known:
            return True
        clash = next((row for row in known if done[row.job.id].request_hash != row.job.request_hash), None)
        refused = InsertJobs(
            request=effect.request,
            rows=list(effect.rows) if clash else known,
            session=effect.session,
        )
        self.engine.insert_refused(refused, self.now())
        if clash is not None:
            self._answer(effect, ConflictError(f"the id {clash.job.id} belongs to another job"))
            return False
        effect.rows = [row for row in effect.rows if row.job.id not in done]
        self._existing(effect, {row.job.id: done[row.job.id] for row in known})
        return bool(effect.rows)

    def _existing(self, effect: InsertJobs, known: dict[JobId, queue.DoneJob]) -> None:
        future = self._submissions.get(effect.request)
        if future is not None and not future.done():
            if effect.rows:
                future.add_done_callback(
                    lambda done: done.exception() is None and done.result().update(known)
                )
            else:
                future.set_result(known)

    async def _commit_turn(self) -> bool:
        batch = self._turn[:BATCH_MAX]
        if not batch:
            return False
        del self._turn[: len(batch)]
        await self._write_turn(batch)
        self.engine.plan(self.now())
        self.flush()
        return True

    async def _write_turn(self, batch: list[TurnEffect]) -> None:
        connection = self._connections.turn
        try:
            async with connection.transaction():
                await write_turn(connection, batch, now=self.now())
        except (*DEFINITE, InvalidError) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._write_turn(batch[:middle])
                await self._write_turn(batch[middle:])
                return
            effect = batch[0]
            if not isinstance(effect, FinishJob | ReleaseLease) or effect.session is None:
                raise queue.DisagreementError(reason_of(error)) from error
            self.engine.finish_refused(effect, reason_of(error), self.now())
            return
        now = self.now()
        for effect in batch:
            self.engine.committed(effect, now)
        self._resolve(effect.job.id for effect in batch)

    async def _commit_logs(self) -> bool:
        batch = self._logs[:BATCH_MAX]
        if not batch:
            return False
        del self._logs[: len(batch)]
        connection = self._connections.logs
        try:
            async with connection.transaction():
                await queue.write_logs(connection, batch)
        except DEFINITE as error:
            log.warning("log text was refused", extra={"reason": reason_of(error), "pieces": len(batch)})
        return True

    # ---- answers ----

    def _must_lead(self) -> None:
        if self.lost.is_set():
            message = "this scheduler does not lead now; repeat the call"
            raise UnavailableError(message)

    def _answer(self, effect: InsertJobs, error: CallsheetError | None) -> None:
        future = self._submissions.get(effect.request)
        if future is None or future.done():
            return
        if error is None:
            future.set_result({})
        else:
            future.set_exception(error)

    def _resolve(self, ids: Iterable[JobId]) -> None:
        if not self._waiting:
            return
        for job_id in ids:
            for future in self._waiting.pop(job_id, ()):
                if not future.done():
                    future.set_result(None)

    def _send(self, message: SendGrant | SendAck | SendRevoke | LookUp) -> None:
        outbox = self.outboxes.get(message.session)
        if outbox is None:
            return
        match message:
            case SendGrant():
                outbox.grant(message)
            case SendAck():
                outbox.acknowledge(message)
            case SendRevoke():
                outbox.revoke(message)
            case LookUp():
                lookup = asyncio.get_running_loop().create_task(self._look_up(message))
                self._lookups.add(lookup)
                lookup.add_done_callback(self._lookups.discard)

    async def _look_up(self, message: LookUp) -> None:
        with suppress(*LOST_CONNECTION):
            async with self._connections.readers.acquire() as connection:
                done = (await queue.find_done(connection, [message.job_id])).get(message.job_id)
            fate = Fate.DUPLICATE if done is not None and done.token == message.token else Fate.STALE
            answer = SendAck(
                session=message.session,
                job_id=message.job_id,
                token=message.token,
                fate=fate,
            )
            self._send(answer)


def _fail(future: asyncio.Future[ValueT], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()
