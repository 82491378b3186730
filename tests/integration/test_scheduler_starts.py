"""A scheduler waits for its database, ends when it is told to, and outlives a fault of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from tests.support.folders import open_folder
from tests.support.leader import leader
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler
from tests.support.replicas import Replica, free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """A scheduler that was started while its database is down."""

    replica: Replica
    starting: asyncio.Task[None]
    folder: Path

    async def says(self, path: str) -> int:
        """Return the status of its answer, once it answers."""
        async with asyncio.timeout(PATIENCE_S):
            while not (status := (await self.replica.said(path))[0]):  # noqa: ASYNC110 -- a process
                await asyncio.sleep(0.02)
        return status


@pytest.fixture
async def early(tmp_path: Path) -> AsyncIterator[Early]:
    with open_folder() as folder:
        database = EmbeddedPostgres(folder)
        dsn = await database.start()
        await database.close()
        ops_port = free_port()
        process = RealScheduler(dsn, tmp_path, {"CALLSHEET_OPS_PORT": str(ops_port)})
        starting = asyncio.create_task(process.start())
        try:
            yield Early(replica=Replica(process=process, ops_port=ops_port), starting=starting, folder=folder)
        finally:
            starting.cancel()
            await process.kill()


async def test_a_scheduler_that_is_started_before_its_database_lives_and_waits(early: Early) -> None:
    assert await early.says("/livez") == 200
    assert await early.says("/readyz") == 503

    database = EmbeddedPostgres(early.folder)
    await database.start()
    try:
        await early.starting
        async with asyncio.timeout(PATIENCE_S):
            while not await early.replica.leads():  # noqa: ASYNC110 -- a process
                await asyncio.sleep(0.02)
    finally:
        await early.replica.process.kill()
        await database.close()


async def test_a_scheduler_that_waits_for_its_database_ends_when_it_is_told_to(early: Early) -> None:
    await early.says("/livez")
    early.starting.cancel()

    assert await early.replica.process.terminate() == 0


async def test_a_fault_of_the_engine_ends_the_leadership_and_another_begins(
    fresh_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(fresh_dsn) as one:
        await one.open(slots=1, credit=0)
        (job_id,) = await one.submit()
        faulty = one.term
        del faulty.engine.queue.jobs[job_id]
        faulty.engine.credit(WorkerId("w"), 1, faulty.commits.now())
        async with asyncio.timeout(PATIENCE_S):
            await faulty.commits.lost.wait()
            while await one.leadership.leading() is faulty:  # noqa: ASYNC110 -- the leadership has no event for it
                await asyncio.sleep(0.02)

        assert faulty.commits.reason == "a part of it failed"
        assert [record for record in caplog.records if record.exc_info and "leadership" in record.message]
        await one.granted(job_id)
