"""Keeps history in its days: makes them a week ahead and drops those past retention."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final

from callsheet.errors import UnavailableError
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.metrics import HISTORY_FAILURES
from callsheet_scheduler.store import leader, partitions
from callsheet_scheduler.store.access import prune_audit, prune_ended_sessions
from callsheet_scheduler.store.connection import LOST_CONNECTION, Own
from callsheet_scheduler.store.minutes import prune_minutes
from callsheet_scheduler.store.partitions import DAY, DailyTable, ids_of
from callsheet_scheduler.store.pool import open_maintainer

log = logging.getLogger(__name__)

#: Seconds between two rounds.
ROUND_S: Final = 3600.0

#: Seconds until a round that failed is begun again.
AGAIN_S: Final = 60.0

#: For how many days entries of the audit trail are kept, unless a setting says otherwise.
AUDIT_DAYS: Final = 400

#: Live jobs that are looked at before others get their turn.
SLICE: Final = 5_000


class Partitions:
    """Runs beside the leader on a connection of its own. What fails here is told and tried again."""

    def __init__(
        self, leadership: Leadership, dsn: str, *, history_days: int, audit_days: int = AUDIT_DAYS
    ) -> None:
        self._leadership = leadership
        self._dsn = dsn
        self._retention = timedelta(days=history_days)
        self._audit_retention = timedelta(days=audit_days)

    async def run(self) -> None:
        """Run a round every hour for as long as this process leads, until cancelled."""
        while True:
            term = await self._leadership.leading()
            pause_s = ROUND_S
            try:
                await self.round(term)
            except (*LOST_CONNECTION, UnavailableError) as error:
                HISTORY_FAILURES.inc()
                log.warning("the days of history could not be kept: %s", error)
                pause_s = AGAIN_S
            with suppress(TimeoutError):
                await asyncio.wait_for(term.commits.lost.wait(), pause_s)

    async def round(self, term: Term) -> None:
        """Make the days ahead, drop those that have passed, once.

        Raises:
            UnavailableError: Another leadership has begun.
        """
        connection = await open_maintainer(self._dsn)
        try:
            await leader.join_term(connection, term.number)
            now = datetime.fromtimestamp(term.commits.now(), UTC)
            made = await partitions.make_partitions(connection, now=now)
            term.days.end = await partitions.end_of_days(connection, now=now)
            if made:
                log.info("days of history were made", extra={"tables": made})
            await self._drop_past(connection, term, now)
            await partitions.prune_counters(connection, before=(now - self._retention).timestamp())
            await prune_minutes(connection, before=(now - self._retention).timestamp())
            await prune_audit(connection, before=(now - self._audit_retention).timestamp())
            await prune_ended_sessions(connection, now=now.timestamp())
        finally:
            connection.terminate()

    async def _drop_past(self, connection: Own, term: Term, now: datetime) -> None:
        cutoff = now - self._retention
        await partitions.finish_detaching(connection)
        tables = await partitions.read_tables(connection)
        for day, of_day in groupby(tables, key=lambda table: table.day):
            if _end_of(day) <= cutoff:
                await self._drop(connection, term, day, list(of_day), before=cutoff.timestamp())

    async def _drop(
        self, connection: Own, term: Term, day: date, tables: list[DailyTable], *, before: float
    ) -> None:
        """Drop one day, unless something that lives needs it. Nothing comes back from it meanwhile."""
        term.days.closing = ids_of(day)
        try:
            if await _is_named(term, ids_of(day)):
                return
            if not await partitions.is_past(connection, day, before=before):
                return
            await partitions.detach(connection, tables)
            await partitions.drop_detached(connection, tables)
            log.info("a day of history was dropped", extra={"day": day.isoformat()})
        finally:
            term.days.closing = None


async def _is_named(term: Term, ids: tuple[JobId, JobId]) -> bool:
    """Return whether a live job, the parent of one, or a job with an output on its way lies in *ids*."""
    low, high = ids
    if any(low <= job_id < high for job_id in term.engine.outputs.job_ids()):
        return True
    for number, job in enumerate(list(term.engine.queue.jobs.values())):
        if low <= job.id < high or (job.parent_id is not None and low <= job.parent_id < high):
            return True
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return False


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
