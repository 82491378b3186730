"""What waits is bounded, and who is slow waits alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import grpc
import pytest

from callsheet.channel import MESSAGE_BYTES_MAX, open_channel
from callsheet.client import Client
from callsheet.errors import OverloadedError, UnavailableError
from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.job_service_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    SubmitJobsRequest,
    WatchJobsRequest,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler

if TYPE_CHECKING:
    from pathlib import Path

    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: More changed jobs than may wait for one reader, in submissions of a thousand.
CROWD = 13


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler, Client(scheduler.address) as client:
        await client.stats()
        yield scheduler


@pytest.fixture
async def stub(scheduler: RealScheduler) -> AsyncIterator[JobServiceAsyncStub]:
    async with open_channel(scheduler.address) as channel:
        yield JobServiceStub(channel)


def scan(*, size: int = 20) -> NewJob:
    """Return a job that no worker here takes; its parameters are *size* characters long."""
    params = '{"root": "library"'
    return NewJob(id=new_job_id(), type="scan", params_json=params + " " * (size - len(params) - 1) + "}")


@asynccontextmanager
async def no_writes(dsn: str) -> AsyncGenerator[None]:
    """Let the queue's inserts wait, for the time of the block."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE job_live IN EXCLUSIVE MODE")
        yield
    finally:
        connection.terminate()


async def waiting_for_the_lock(dsn: str) -> None:
    """Wait until an insert waits."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await connection.fetchval(  # noqa: ASYNC110 -- another session
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'job_live'::regclass"
            ):
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_submissions_that_would_fill_the_memory_are_refused_with_a_delay(
    stub: JobServiceAsyncStub, fresh_dsn: str
) -> None:
    batches = [[scan(size=60_000) for _ in range(50)] for _ in range(30)]
    async with no_writes(fresh_dsn):
        first = asyncio.ensure_future(stub.SubmitJobs(SubmitJobsRequest(jobs=batches[0]), timeout=PATIENCE_S))
        await waiting_for_the_lock(fresh_dsn)
        rest = [
            asyncio.ensure_future(stub.SubmitJobs(SubmitJobsRequest(jobs=batch), timeout=PATIENCE_S))
            for batch in batches[1:]
        ]
        await asyncio.wait(rest, return_when=asyncio.FIRST_EXCEPTION)
    outcomes = await asyncio.gather(first, *rest, return_exceptions=True)

    refusals = [one for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    errors = [from_rpc_error(one) for one in refusals]
    overloads = [error for error in errors if isinstance(error, OverloadedError)]
    assert overloads
    assert all(error.retry_after_s > 0 for error in overloads)
    assert all(isinstance(error, OverloadedError | UnavailableError) for error in errors)
    for batch, outcome in zip(batches, outcomes, strict=True):
        if not isinstance(outcome, BaseException):
            found = await stub.GetJob(GetJobRequest(id=batch[0].id), timeout=PATIENCE_S)
            assert found.job.id == batch[0].id


async def test_submissions_of_the_same_job_that_overlap_are_one_job(
    stub: JobServiceAsyncStub, fresh_dsn: str
) -> None:
    one, other = scan(), scan()
    async with no_writes(fresh_dsn):
        first = asyncio.ensure_future(stub.SubmitJobs(SubmitJobsRequest(jobs=[one]), timeout=PATIENCE_S))
        await waiting_for_the_lock(fresh_dsn)
        twice = [
            asyncio.ensure_future(stub.SubmitJobs(SubmitJobsRequest(jobs=[one, other]), timeout=PATIENCE_S))
            for _ in range(2)
        ]
        await asyncio.wait(twice, timeout=0.5)
    await asyncio.gather(first, *twice)

    cancelled = await stub.CancelJob(CancelJobRequest(id=other.id), timeout=PATIENCE_S)
    assert cancelled.job.state == JobState.JOB_STATE_CANCELLED


async def test_the_first_messages_of_a_watch_fit_however_much_the_jobs_hold(
    stub: JobServiceAsyncStub,
) -> None:
    jobs = [scan(size=60_000) for _ in range(200)]
    for start in range(0, len(jobs), 50):
        await stub.SubmitJobs(SubmitJobsRequest(jobs=jobs[start : start + 50]), timeout=PATIENCE_S)
    call = stub.WatchJobs(WatchJobsRequest(ids=[job.id for job in jobs], initial=True), timeout=PATIENCE_S)

    told: set[str] = set()
    async for message in call:
        assert message.ByteSize() <= MESSAGE_BYTES_MAX
        told |= {job.id for job in message.jobs}
        if len(told) == len(jobs):
            break
    call.cancel()

    assert told == {job.id for job in jobs}


async def test_nothing_is_missed_once_a_watch_has_begun(stub: JobServiceAsyncStub) -> None:
    for _ in range(20):
        call = stub.WatchJobs(WatchJobsRequest(), timeout=PATIENCE_S)
        await call.initial_metadata()
        job = scan()
        await stub.SubmitJobs(SubmitJobsRequest(jobs=[job]), timeout=PATIENCE_S)
        async for message in call:
            if job.id in {one.id for one in message.jobs}:
                break
        call.cancel()


async def test_a_reader_that_does_not_read_holds_up_nobody_and_is_told(stub: JobServiceAsyncStub) -> None:
    slow = stub.WatchJobs(WatchJobsRequest())
    await slow.initial_metadata()
    large = [scan(size=60_000) for _ in range(200)]
    for start in range(0, len(large), 50):
        await stub.SubmitJobs(SubmitJobsRequest(jobs=large[start : start + 50]), timeout=PATIENCE_S)
    for _ in range(CROWD):
        small = [scan() for _ in range(1000)]
        await stub.SubmitJobs(SubmitJobsRequest(jobs=small), timeout=PATIENCE_S)

    quick = stub.WatchJobs(WatchJobsRequest(ids=[large[0].id], initial=True), timeout=PATIENCE_S)
    assert [job.id for job in (await anext(aiter(quick))).jobs] == [large[0].id]
    quick.cancel()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in slow:
            pass
    error = from_rpc_error(caught.value)
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s > 0
