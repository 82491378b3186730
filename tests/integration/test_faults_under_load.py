"""Nothing is lost and nothing is done twice when a process is killed or the database restarts under load."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.channel import open_channel
from callsheet.client import Client
from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.job_service_pb2 import GetStatsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.folders import open_folder
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler

JOBS = 3000
BATCH = 250


class Load:
    """A database, a scheduler, a worker, and jobs that do nothing."""

    def __init__(self, database: EmbeddedPostgres, dsn: str, scheduler: RealScheduler, folder: Path) -> None:
        self.database = database
        self.dsn = dsn
        self.scheduler = scheduler
        self.folder = folder
        self.worker: Process | None = None
        self.ids: list[str] = []

    async def start_worker(self) -> None:
        """Start the worker that handles the jobs."""
        self.worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.noop_worker",
            "--scheduler",
            self.scheduler.address,
            "--slots",
            "50",
            "--spool",
            str(self.folder / "spool"),
            env=dict(os.environ),
        )

    async def kill_worker(self) -> None:
        """Kill the worker."""
        if self.worker is not None and self.worker.returncode is None:
            self.worker.kill()
            await self.worker.wait()

    async def submit(self) -> None:
        """Submit all jobs, in batches; the client repeats what found nobody."""
        async with Client(self.scheduler.address) as client:
            for _ in range(JOBS // BATCH):
                batch = [NewJob(id=new_job_id(), type="noop", max_retries=0) for _ in range(BATCH)]
                await client.submit_many(batch)
                self.ids += [job.id for job in batch]

    async def completed(self) -> int:
        """Return how many jobs the counters hold to be completed."""
        async with Client(self.scheduler.address) as client:
            stats = await client.stats()
        done = [count.count for count in stats.states if count.state == JobState.JOB_STATE_COMPLETED]
        return sum(done)

    async def drained(self) -> None:
        """Wait until every job is completed."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.completed() < JOBS:  # noqa: ASYNC110 -- other processes
                await asyncio.sleep(0.05)

    async def some_done(self) -> None:
        """Wait until the worker is in the midst of it."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.completed() < JOBS // 10:  # noqa: ASYNC110 -- other processes
                await asyncio.sleep(0.01)


@asynccontextmanager
async def under_load(folder: Path) -> AsyncGenerator[Load]:
    """Run everything, with the type of the jobs known."""
    database = EmbeddedPostgres(folder)
    dsn = await database.start()
    try:
        async with real_scheduler(dsn, folder, limit_cpu="1000", lease_ttl_s="2") as scheduler:
            load = Load(database, dsn, scheduler, folder)
            await load.start_worker()
            try:
                await _known(scheduler.address)
                yield load
            finally:
                await load.kill_worker()
    finally:
        await database.close()


async def _known(address: str) -> None:
    async with asyncio.timeout(PATIENCE_S), Client(address) as client:
        while "noop" not in {known.name for known in await client.job_types()}:  # noqa: ASYNC110 -- a process
            await asyncio.sleep(0.02)


async def kill_the_worker(load: Load) -> None:
    await load.kill_worker()
    await load.start_worker()


async def kill_the_scheduler(load: Load) -> None:
    await load.scheduler.kill()
    await load.scheduler.start()


async def restart_the_database(load: Load) -> None:
    await load.database.stop()
    await load.database.start()


async def crash_the_database(load: Load) -> None:
    await load.database.kill()
    await load.database.start()


@pytest.mark.parametrize(
    "fault",
    [kill_the_worker, kill_the_scheduler, restart_the_database, crash_the_database],
)
async def test_no_job_is_lost_or_completed_twice(
    fault: Callable[[Load], Awaitable[None]],
) -> None:
    with open_folder() as folder:
        await no_job_is_lost_or_completed_twice(folder, fault)


async def no_job_is_lost_or_completed_twice(folder: Path, fault: Callable[[Load], Awaitable[None]]) -> None:
    async with under_load(folder) as load:
        submitting = asyncio.create_task(load.submit())
        await load.some_done()
        await fault(load)
        await submitting
        await load.drained()
        connection = await asyncpg.connect(load.dsn)
        try:
            done = await connection.fetch("SELECT id::text AS id, state FROM job_done")
            live: int = await connection.fetchval("SELECT count(*) FROM job_live")
        finally:
            await connection.close()
        assert sorted(row["id"] for row in done) == sorted(load.ids)
        assert {row["state"] for row in done} == {int(JobState.JOB_STATE_COMPLETED)}
        assert live == 0
        assert await load.completed() == JOBS


async def test_call_without_the_join_token_is_refused(tmp_path: Path, fresh_dsn: str) -> None:
    token = tmp_path / "token"
    token.write_text("a" * 43)
    async with real_scheduler(fresh_dsn, tmp_path, join_token_file=str(token)) as scheduler:
        channel = open_channel(scheduler.address, token="b" * 43)
        try:
            async with Client(scheduler.address, token="a" * 43) as client:
                assert await client.job_types()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await JobServiceStub(channel).GetStats(GetStatsRequest())
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        finally:
            await channel.close()
