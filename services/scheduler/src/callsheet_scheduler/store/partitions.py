"""Makes the daily tables of history ahead of time, and drops the days that have passed."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Final

import asyncpg

from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.queue import CounterKey, count_jobs
from callsheet_scheduler.store.statements import statement

log = logging.getLogger(__name__)

PARTITIONED: Final = ("job_done", "job_attempt", "job_log")
"""The tables that are partitioned by the instant in a UUIDv7."""

COMMENT: Final = "A day of the history that Callsheet keeps and drops."
"""By which a daily table is known when it is detached."""

#: Days before the present one that have to be there: an id may be a day old.
DAYS_BEHIND: Final = 2

#: Days after the present one that are made.
DAYS_AHEAD: Final = 7

DAY: Final = timedelta(days=1)


class Place(Enum):
    """Where a daily table stands."""

    ATTACHED = "attached"
    DETACHING = "detaching"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyTable:
    """One day of one of the partitioned tables."""

    table: str
    day: date
    place: Place

    @property
    def name(self) -> str:
        """Its own name."""
        return name_of(self.table, self.day)


def name_of(table: str, day: date) -> str:
    """Return the name of a daily table."""
    return f"{table}_{day:%Y%m%d}"


def first_id_of(instant: datetime) -> str:
    """Return the smallest UUID whose first 48 bits are the milliseconds of *instant*."""
    digits = f"{int(instant.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def ids_of(day: date) -> tuple[JobId, JobId]:
    """Return the first id of *day* in UTC and the first behind it."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return JobId(first_id_of(start)), JobId(first_id_of(start + DAY))


async def read_tables(connection: Own) -> list[DailyTable]:
    """Return every daily table, oldest first."""
    return [
        DailyTable(
            table=row["parent"],
            day=datetime.strptime(row["day"], "%Y%m%d").replace(tzinfo=UTC).date(),
            place=Place(row["place"]),
        )
        for row in await connection.fetch(statement("read_partitions"), PARTITIONED, COMMENT)
    ]


async def make_partitions(connection: Own, *, now: datetime, days_ahead: int = DAYS_AHEAD) -> int:
    """Make what is missing for the days around *now* and return how many tables that were.

    A new table is attached under a lock that stops neither reads nor writes, and gets its indexes then.
    """
    today = now.astimezone(UTC).date()
    there = {table.name for table in await read_tables(connection)}
    made = 0
    for offset in range(-DAYS_BEHIND, days_ahead + 1):
        day = today + offset * DAY
        low, high = ids_of(day)
        for table in PARTITIONED:
            name = name_of(table, day)
            if name in there:
                continue
            columns: str = await connection.fetchval(statement("day_columns"), table)
            async with connection.transaction():
                await connection.execute(f"CREATE TABLE {name} ({columns})")
                await connection.execute(f"COMMENT ON TABLE {name} IS '{COMMENT}'")
                await connection.execute(
                    f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')",
                )
            made += 1
    return made


async def end_of_days(connection: Own, *, now: datetime) -> JobId:
    """Return the first id behind the days from *now* on that have all their tables."""
    there = {table.name for table in await read_tables(connection) if table.place is Place.ATTACHED}
    day = now.astimezone(UTC).date()
    while there.issuperset(name_of(table, day) for table in PARTITIONED):
        day += DAY
    return ids_of(day)[0]


async def prepare_days(connection: Own, *, now: datetime) -> JobId:
    """Make what is missing for the days up to tomorrow and return the first id behind what is there.

    Where it cannot be made, those days take no jobs; that is no reason not to go on with the others.
    """
    try:
        await make_partitions(connection, now=now, days_ahead=1)
    except asyncpg.PostgresError as error:
        log.warning("the days of history could not be made: %s", error)
    return await end_of_days(connection, now=now)


async def is_past(connection: Own, day: date, *, before: float) -> bool:
    """Return whether no live id lies in *day* and all that finished did so before an instant."""
    low, high = ids_of(day)
    past: bool = await connection.fetchval(statement("day_is_past"), low, high, before)
    return past


async def finish_detaching(connection: Own) -> None:
    """Bring to its end what an earlier attempt left half detached, of whatever day.

    As long as one table is on its way out, PostgreSQL lets no other of the same parent go.
    """
    for table in await read_tables(connection):
        if table.place is Place.DETACHING:
            await connection.execute(f"ALTER TABLE {table.table} DETACH PARTITION {table.name} FINALIZE")


async def detach(connection: Own, tables: Iterable[DailyTable]) -> None:
    """Take daily tables out of history; readers and writers of other days go on meanwhile."""
    for table in tables:
        if table.place is Place.ATTACHED:
            await connection.execute(f"ALTER TABLE {table.table} DETACH PARTITION {table.name} CONCURRENTLY")


async def drop_detached(connection: Own, tables: Iterable[DailyTable]) -> None:
    """Drop detached tables and take their jobs out of the counters, in one transaction.

    The tables are locked before the counters, which the leader writes all the time.
    """
    names = [table.name for table in tables]
    async with connection.transaction():
        await connection.execute(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
        for table in tables:
            if table.table == "job_done":
                await _uncount(connection, table.name)
        await connection.execute(f"DROP TABLE {', '.join(names)}")


async def prune_counters(connection: Own, *, before: float) -> None:
    """Forget the counters of the hours before an instant; the sums of all kept history stay."""
    await connection.execute(statement("prune_counters"), before)


async def _uncount(connection: Own, name: str) -> None:
    jobs: Counter[CounterKey] = Counter()
    for row in await connection.fetch(statement("sum_day").replace("job_done", name)):
        kind = (row["type"], row["category"])
        jobs[None, row["state"], *kind] -= row["jobs"]
        jobs[None, int(JobState.PENDING), *kind] -= row["jobs"]
    if jobs:
        await count_jobs(connection, jobs)
