"""The leader's writes: one transaction for each batch of a lane."""

from collections.abc import Sequence
from typing import Protocol

from callsheet_scheduler.domain.effects import NewRow, Taken, TurnEffect
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.store import queue
from callsheet_scheduler.store.connection import Own, Pool
from callsheet_scheduler.store.errors import sorted_errors
from callsheet_scheduler.store.inbox import take_inbox
from callsheet_scheduler.store.queue import DoneJob, LogRow
from callsheet_scheduler.store.turn import write_turn


class Connections(Protocol):
    """One connection for each lane, and a way to read."""

    intake: Own
    turn: Own
    logs: Own
    readers: Pool


class QueueWriter:
    """Writes batches. Each method writes all or nothing, and raises the errors of ``store.errors``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def insert(self, rows: Sequence[NewRow], taken: Sequence[Taken] = ()) -> dict[JobId, DoneJob]:
        """Insert jobs, unless some are in history: then return these and write nothing.

        Raises:
            WithdrawnError: Rows of the inbox that are *taken* with it are not there; nothing was written.
        """
        connection = self._connections.intake
        async with sorted_errors():
            if not taken:
                return await queue.insert_jobs(connection, rows)
            transaction = connection.transaction()
            await transaction.start()
            try:
                await take_inbox(connection, taken)
                done = await queue.insert_jobs(connection, rows) if rows else {}
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback() if done else transaction.commit())
            return done

    async def turn(self, batch: Sequence[TurnEffect], *, now: float) -> None:
        """Write one turn."""
        async with sorted_errors():
            await write_turn(self._connections.turn, batch, now=now)

    async def logs(self, rows: Sequence[LogRow]) -> None:
        """Append log text."""
        connection = self._connections.logs
        async with sorted_errors(), connection.transaction():
            await queue.write_logs(connection, rows)

    async def has_yielded(self, job_id: JobId, token: Token) -> bool:
        """Return whether the attempt under a token ended because the job yielded."""
        async with sorted_errors(), self._connections.readers.acquire() as connection:
            return await queue.has_yielded(connection, job_id, token)

    async def look_up(self, job_id: JobId) -> DoneJob | None:
        """Return a job of history."""
        async with sorted_errors(), self._connections.readers.acquire() as connection:
            return (await queue.find_done(connection, [job_id])).get(job_id)
