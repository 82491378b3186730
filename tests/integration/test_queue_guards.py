"""What the queue costs the database and the wire, as ratios that hold on any machine."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.rpc.lease_service import LeaseService
from callsheet_scheduler.store.pool import open_writer
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.use_cases.grants import Grants
from callsheet_scheduler.use_cases.jobs import Submission
from typing_extensions import override

from callsheet.ids import new_job_id
from callsheet.service.server import make_server, serve
from callsheet.v1.lease_service_pb2 import WorkRequest, WorkResponse
from callsheet.v1.lease_service_pb2_grpc import add_LeaseServiceServicer_to_server
from tests.support.fresh_database import new_database
from tests.support.job_types import NOOP
from tests.support.leader import Leader, leader
from tests.support.patience import PATIENCE_S
from tests.support.workers import running_worker

JOBS = 2_000

#: Jobs that one submission takes.
TOGETHER = 500

HOT_LEAST = 0.95
WAL_BYTES_MOST = 600
HELD_TO_CLEAN_MOST = 1.5
MESSAGES_PER_JOB_MOST = 0.2

#: Grants whose cost is compared, with and without a held snapshot.
GRANTS = 150

#: Jobs that wait behind others, and how many are submitted and done beside them.
BEHIND = 20_000
BESIDE = 100
MEMORY_GROWTH_MOST = 1.3

#: How often a figure that other processes disturb is measured.
TRIES = 3


async def submit(queue: Leader, count: int) -> None:
    for _ in range(count // TOGETHER):
        await queue.submit(ids=[JobId(new_job_id()) for _ in range(TOGETHER)])


async def test_updates_of_live_jobs_stay_on_their_page_and_touch_no_index(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        await submit(queue, JOBS)
        await queue.work_off(JOBS, returned=2)
    updates = hot = 0
    for _ in range(200):
        [(updates, hot)] = await db_writer.fetch(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'job_live'"
        )
        if updates >= JOBS * 5:
            break
        await db_writer.execute("SELECT pg_sleep(0.05)")
    assert updates == JOBS * 5  # three grants and two returns of each
    assert hot / updates > HOT_LEAST


async def test_grant_and_finish_of_a_job_write_little_to_the_log_of_the_database(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    costs: list[float] = []
    async with leader(fresh_dsn) as queue:
        for _ in range(TRIES):
            await submit(queue, JOBS)
            before = await db_writer.fetchval("SELECT pg_current_wal_insert_lsn()")
            await queue.work_off(JOBS)
            written = await db_writer.fetchval(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::float8", before
            )
            costs.append(written / JOBS)
    assert 100 < min(costs) <= WAL_BYTES_MOST


async def pages_of_a_grant(queue: Leader, dsn: str) -> float:
    """Return how many pages the database looks at to grant one of some jobs that wait."""
    ids = await queue.submit(ids=[JobId(new_job_id()) for _ in range(GRANTS)])
    writer = await open_writer(dsn)
    change = writer.transaction()
    await change.start()
    newest, nothing = (1 << 63) - 1, list[object]()
    told: str = await writer.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('write_turn')}",
        *[nothing] * 10,
        ids,
        [newest] * GRANTS,
        [1] * GRANTS,
        ["w"],
        ["h"],
        queue.term.commits.now(),
        *[nothing] * 11,
        [1] * GRANTS,
    )
    await change.rollback()
    await writer.close()
    plan = json.loads(told)[0]["Plan"]
    [granted] = [part for part in plan["Plans"] if part.get("Subplan Name") == "CTE granted"]
    assert granted["Actual Rows"] == GRANTS
    return float(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]) / GRANTS


async def test_reader_that_holds_a_snapshot_makes_grants_little_dearer(
    database_server: EmbeddedPostgres,
) -> None:
    """Counted in pages, since seconds say more of what else the machine does."""
    dsns = {held: await new_database(database_server) for held in (True, False)}
    reader = await asyncpg.connect(dsns[True], ssl=False)
    snapshot = reader.transaction(isolation="repeatable_read")
    await snapshot.start()
    await reader.fetch("SELECT count(*) FROM job_live")
    pages: dict[bool, float] = {}
    for held, dsn in dsns.items():
        async with leader(dsn) as queue:
            await submit(queue, JOBS)
            await queue.work_off(JOBS, returned=1)
            pages[held] = await pages_of_a_grant(queue, dsn)
    await snapshot.rollback()
    await reader.close()
    assert pages[True] <= HELD_TO_CLEAN_MOST * pages[False]


async def memory_of_some_jobs(queue: Leader) -> int:
    """Return the most memory that submitting some jobs, and doing some that wait, needs at once."""
    await queue.submit(ids=[JobId(new_job_id()) for _ in range(BESIDE)])
    await queue.work_off(BESIDE, slots=BESIDE)
    tracemalloc.start()
    try:
        await queue.submit(ids=[JobId(new_job_id()) for _ in range(BESIDE)])
        await queue.work_off(BESIDE, slots=BESIDE)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_nothing_that_is_done_for_a_job_copies_the_queue(fresh_dsn: str) -> None:
    """A walk over all jobs that leaves no trace in memory shows in ``python -m bench.queue --waiting``."""
    async with leader(fresh_dsn) as queue:
        await submit(queue, JOBS // 4)
        few = await memory_of_some_jobs(queue)
        await submit(queue, BEHIND)
        many = await memory_of_some_jobs(queue)
    assert many <= few * MEMORY_GROWTH_MOST


class Counting(LeaseService):
    """Serves workers and counts what is said, both ways."""

    messages = 0

    @override
    async def Work(
        self,
        request_iterator: AsyncIterator[WorkRequest],
        context: grpc.aio.ServicerContext[WorkRequest, WorkResponse],
    ) -> AsyncIterator[WorkResponse]:
        async def counted() -> AsyncIterator[WorkRequest]:
            async for request in request_iterator:
                self.messages += 1
                yield request

        async for response in super().Work(counted(), context):
            self.messages += 1
            yield response


@asynccontextmanager
async def serving(grants: Grants) -> AsyncGenerator[tuple[Counting, int]]:
    service = Counting(grants, lease_ttl_s=30.0, orphan_limit_s=60.0)
    server = make_server(token=None)
    add_LeaseServiceServicer_to_server(service, server)
    try:
        yield service, await serve(server, "127.0.0.1:0", ())
    finally:
        await server.stop(1.0)


@pytest.mark.parametrize("slots", [200, 500])
async def test_worker_that_is_kept_busy_needs_few_messages_for_a_job(
    fresh_dsn: str, tmp_path: Path, slots: int
) -> None:
    async with leader(fresh_dsn) as queue:
        queue.types.learn(NOOP)
        for _ in range(JOBS * 2 // TOGETHER):
            await queue.jobs.submit([Submission(type="noop") for _ in range(TOGETHER)])
        async with serving(queue.grants) as (service, port), running_worker(port, tmp_path, slots=slots):
            async with asyncio.timeout(PATIENCE_S):
                while queue.term.engine.queue.jobs:  # noqa: ASYNC110 -- a worker of its own empties it
                    await asyncio.sleep(0.02)
            assert service.messages / (JOBS * 2) <= MESSAGES_PER_JOB_MOST
