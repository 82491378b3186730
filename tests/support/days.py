"""Days of history that go by."""

from datetime import date

import asyncpg
from callsheet_scheduler.maintenance.partitions import Partitions
from callsheet_scheduler.store.partitions import read_tables

from tests.support.leader import DAY, Leader


async def days(connection: asyncpg.Connection, table: str = "job_done") -> list[date]:
    return [one.day for one in await read_tables(connection) if one.table == table]


async def pass_days(queue: Leader, keeper: Partitions, count: int) -> None:
    """Let days go by, with a round in each."""
    for _ in range(count):
        queue.clock.ahead += DAY
        await keeper.round(queue.term)
