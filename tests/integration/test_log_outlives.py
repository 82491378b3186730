"""What an attempt logged is written, whatever becomes of the scheduler meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.workers import running_worker

WAITING: Final = "SELECT count(*) FROM pg_locks WHERE relation = 'job_log'::regclass AND NOT granted"


@asynccontextmanager
async def logs_held_up(dsn: str) -> AsyncGenerator[asyncpg.Connection]:
    """Let no log text be written for the time of the block."""
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE job_log IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def test_the_end_of_a_log_outlives_the_scheduler_that_had_not_written_it(
    fresh_dsn: str, tmp_path: Path
) -> None:
    async with (
        real_scheduler(fresh_dsn, tmp_path, lease_ttl_s="2") as scheduler,
        open_channel(scheduler.address) as channel,
        running_worker(scheduler.port, tmp_path),
    ):
        jobs = Jobs(channel)
        await jobs.known("count")
        async with logs_held_up(fresh_dsn) as connection:
            (counted,) = await jobs.submitted("count", params='{"countTo": 3}')
            async with asyncio.timeout(PATIENCE_S):
                while not await connection.fetchval(WAITING):  # noqa: ASYNC110 -- another process
                    await asyncio.sleep(0.02)
            await scheduler.kill()
        await scheduler.start()
        await jobs.reached([counted], JobState.JOB_STATE_COMPLETED)

        await jobs.logged(counted, "number 3")  # the result may be written by then, the worker not back
