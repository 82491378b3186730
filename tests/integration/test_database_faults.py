"""What happens to the database happens to no job: it restarts, freezes, or has no room."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import pytest
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.client import Client
from callsheet.client.repeating import Patience
from callsheet.errors import OverloadedError, UnavailableError
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.folders import open_folder
from tests.support.patience import PATIENCE_S
from tests.support.replicas import Replica, addresses_of, leader_of, replicas_on
from tests.support.small_disks import small_disk
from tests.support.workers import RunningWorker, running_worker

TTL_S = 2.0

CLOCK = SystemClock()

#: One try of a call; who asks in vain hears so, and repeats with the same id.
ONCE = Patience(total_s=0, try_s=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A database of its own, two schedulers, a worker and a client."""

    database: EmbeddedPostgres
    dsn: str
    replicas: list[Replica]
    worker: RunningWorker
    client: Client

    async def running_job(self) -> str:
        """Submit a job that waits for the test, and return its id once its attempt has begun."""
        async with asyncio.timeout(PATIENCE_S):
            while "patient" not in {known.name for known in await self.client.job_types()}:  # noqa: ASYNC110 -- a process
                await asyncio.sleep(0.02)
            job_id = (await self.client.submit(NewJob(type="patient"))).id
            while (await self.client.job(job_id)).state != JobState.JOB_STATE_RUNNING:  # noqa: ASYNC110 -- a process
                await asyncio.sleep(0.02)
        return job_id

    async def done(self, job_id: str) -> Job:
        """Wait until a job is final, and return it with its attempts."""
        await self.client.final(job_id)
        return await self.client.job(job_id)


@asynccontextmanager
async def house_in(folder: Path) -> AsyncGenerator[House]:
    database = EmbeddedPostgres(folder)
    dsn = await database.start()
    try:
        async with (
            replicas_on(dsn, folder, leader_ttl_s=str(TTL_S)) as replicas,
            running_worker(0, folder, scheduler=addresses_of(replicas)) as worker,
            Client(addresses_of(replicas), patience=Patience(total_s=60)) as client,
        ):
            yield House(database=database, dsn=dsn, replicas=replicas, worker=worker, client=client)
    finally:
        await database.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with open_folder() as folder:
        async with house_in(folder) as house:
            yield house


def processes_of(database: EmbeddedPostgres) -> list[int]:
    """Return the server's processes, the postmaster first."""
    assert database.pid is not None
    children = Path(f"/proc/{database.pid}/task/{database.pid}/children").read_text(encoding="ascii")
    return [database.pid, *(int(pid) for pid in children.split())]


@contextmanager
def frozen(database: EmbeddedPostgres) -> Generator[None]:
    """Stop every process of the server, for the time of the block."""
    stopped = processes_of(database)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


async def test_jobs_outlive_a_restart_of_the_database(house: House) -> None:
    job_id = await house.running_job()
    waiting = asyncio.create_task(house.client.final(job_id))

    await house.database.restart()
    fresh = await house.client.submit(NewJob(type="noop"))

    assert (await house.done(fresh.id)).state == JobState.JOB_STATE_COMPLETED
    house.worker.patient.go_on.set()
    await waiting
    done = await house.done(job_id)
    assert done.state == JobState.JOB_STATE_COMPLETED
    assert (house.worker.patient.begun, house.worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)


async def test_a_frozen_database_is_told_and_outlived(house: House) -> None:
    job_id = await house.running_job()
    leader, _ = await leader_of(house.replicas)
    asked = NewJob(id=new_job_id(), type="noop")
    with frozen(house.database):
        began = CLOCK.monotonic()
        with pytest.raises(UnavailableError):
            await house.client.with_patience(ONCE).submit(asked)
        told_after_s = CLOCK.monotonic() - began
        async with asyncio.timeout(PATIENCE_S):
            while await leader.leads() or await leader.ready():  # noqa: ASYNC110 -- a process
                await asyncio.sleep(0.05)
        assert not house.worker.patient.cancelled

    submitted = await house.client.submit(asked)

    assert told_after_s < ONCE.try_s
    assert submitted.id == asked.id
    assert (await house.done(asked.id)).state == JobState.JOB_STATE_COMPLETED
    house.worker.patient.go_on.set()
    done = await house.done(job_id)
    assert (house.worker.patient.begun, house.worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)
    connection = await asyncpg.connect(house.dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM job_done WHERE id = $1", asked.id) == 1
    finally:
        await connection.close()


async def on_small_disk(database: EmbeddedPostgres, dsn: str, folder: Path) -> str:
    """Make a database whose tables lie in *folder*, and return its address; the log lies elsewhere."""
    os.chown(folder, (database.home / "cluster").stat().st_uid, -1)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        await connection.execute("CREATE DATABASE small TABLESPACE small")
    finally:
        await connection.close()
    return database.dsn("small")


def fill(folder: Path) -> Path:
    """Take all room in *folder*, and return the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


async def test_a_full_disk_refuses_intake_with_a_delay_and_is_outlived() -> None:
    with open_folder() as folder, open_folder() as place, small_disk(place, "40m") as small:
        database = EmbeddedPostgres(folder)
        try:
            dsn = await on_small_disk(database, await database.start(), small)
            async with (
                replicas_on(dsn, folder, leader_ttl_s=str(TTL_S)) as replicas,
                running_worker(0, folder, scheduler=addresses_of(replicas)) as worker,
                Client(addresses_of(replicas)) as client,
            ):
                house = House(database=database, dsn=dsn, replicas=replicas, worker=worker, client=client)
                await refused_while_full(house, small)
        finally:
            await database.close()


async def refused_while_full(house: House, small: Path) -> None:
    job_id = await house.running_job()
    leader, _ = await leader_of(house.replicas)
    filler = fill(small)
    many = [NewJob(id=new_job_id(), type="noop") for _ in range(500)]
    async with grpc.aio.insecure_channel(leader.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await JobServiceStub(channel).SubmitJobs(SubmitJobsRequest(jobs=many), timeout=30)
    meant = from_rpc_error(refusal.value)
    assert isinstance(meant, OverloadedError), meant
    assert meant.retry_after_s > 0
    house.worker.patient.go_on.set()

    filler.unlink()
    await house.client.submit_many(many)

    for job in many:
        assert (await house.done(job.id)).state == JobState.JOB_STATE_COMPLETED
    done = await house.done(job_id)
    assert done.state == JobState.JOB_STATE_COMPLETED
    assert (house.worker.patient.begun, house.worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)
