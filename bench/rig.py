"""What is measured: a database of its own, a scheduler, and a real worker whose jobs do nothing."""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import grpc
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.channel import open_channel
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.v1.fleet_service_pb2 import ListWorkersRequest
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import JOB_STATE_COMPLETED, NewJob
from callsheet.v1.job_service_pb2 import SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from callsheet.v1.fleet_service_pb2_grpc import FleetServiceAsyncStub
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: Jobs of one submission.
BATCH: Final = 500

#: Seconds between two looks at what is done.
LOOK_S: Final = 0.01

#: Writes by which the disk is measured, and their bytes: as many as a page of the database's log.
SYNCS: Final = 50
SYNC_BYTES: Final = 8192

COMPLETED: Final = "SELECT sum(jobs)::bigint FROM job_counter WHERE hour = '-infinity' AND state = $1"


class Rig:
    """A scheduler that runs, and what is asked of it."""

    def __init__(self, folder: Path, address: str, scheduler_pid: int, database: asyncpg.Connection) -> None:
        self.clock = SystemClock()
        self.scheduler_pid = scheduler_pid
        self._folder = folder
        self.address = address
        self.database = database
        self._channel = open_channel(address)
        self._jobs: JobServiceAsyncStub = JobServiceStub(self._channel)
        self._fleet: FleetServiceAsyncStub = FleetServiceStub(self._channel)

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    @asynccontextmanager
    async def worker(self, slots: int, *, starts: Path | None = None) -> AsyncGenerator[None]:
        """Run a worker until the block ends; it notes in *starts* when it begins each job."""
        arguments = ["--scheduler", self.address, "--slots", str(slots)]
        arguments += ["--spool", str(self._folder / "spool")]
        arguments += ["--starts", str(starts)] if starts else []
        async with process("bench.noop_worker", dict(os.environ), *arguments):
            await until(self._connected)
            yield
        await until(self._gone)

    async def meet(self) -> None:
        """Let the scheduler learn what the worker's jobs are."""
        async with self.worker(1):
            pass

    async def submit(self, count: int) -> list[str]:
        """Submit *count* jobs in one call and return their ids."""
        ids = [new_job_id() for _ in range(count)]
        await self._jobs.SubmitJobs(
            SubmitJobsRequest(jobs=[NewJob(id=job_id, type="noop") for job_id in ids])
        )
        return ids

    async def submit_many(self, jobs: int, *, callers: int = 1) -> None:
        """Submit *jobs* in batches, as many at once as there are *callers*."""
        batches = iter(range(0, jobs, BATCH))

        async def call() -> None:
            for start in batches:
                await self.submit(min(BATCH, jobs - start))

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call())

    async def completed(self) -> int:
        """Return how many jobs are done, by the counters that a turn writes."""
        return await self.database.fetchval(COMPLETED, JOB_STATE_COMPLETED) or 0

    async def until_completed(self, jobs: int) -> None:
        """Wait until *jobs* are done."""
        while await self.completed() < jobs:
            await asyncio.sleep(LOOK_S)

    def memory_mib(self) -> float:
        """Return the scheduler's resident memory."""
        status = Path(f"/proc/{self.scheduler_pid}/status").read_text(encoding="ascii")
        [size] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(size) / 1024

    async def _connected(self) -> bool:
        workers = (await self._fleet.ListWorkers(ListWorkersRequest(), wait_for_ready=True)).workers
        return any(worker.connected for worker in workers)

    async def _gone(self) -> bool:
        return not await self._connected()


@asynccontextmanager
async def rig(folder: Path) -> AsyncGenerator[Rig]:
    """Run a database with fsync on, and a scheduler whose limits do not hold a worker back."""
    port_file = folder / "port"
    async with EmbeddedPostgres(folder) as dsn:
        environment = os.environ | {
            "CALLSHEET_DATABASE_URL": dsn,
            "CALLSHEET_LISTEN": "127.0.0.1:0",
            "CALLSHEET_PORT_FILE": str(port_file),
            "CALLSHEET_LIMIT_CPU": "10000",
            "CALLSHEET_LOG_LEVEL": "warning",
        }
        async with process("callsheet_scheduler.main", environment) as scheduler:
            while not port_file.exists():
                await asyncio.sleep(0.02)
            database = await asyncpg.connect(dsn)
            made = Rig(folder, f"127.0.0.1:{port_file.read_text().strip()}", scheduler.pid, database)
            try:
                yield made
            finally:
                await made.close()
                await database.close()


def disk_sync_ms(folder: Path) -> float:
    """Return how long 8 KiB take until they are on the disk of *folder*: no commit is quicker.

    Disks that others use as well take from a tenth of a millisecond to four, from minute to minute.
    """
    clock, took_s = SystemClock(), list[float]()
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            begun = clock.monotonic()
            file.write(bytes(SYNC_BYTES))
            os.fdatasync(file.fileno())
            took_s.append(clock.monotonic() - begun)
    return statistics.median(took_s) * 1000


@asynccontextmanager
async def process(
    module: str, environment: dict[str, str], *arguments: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a module until the block ends."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=environment,
    )
    try:
        yield running
    finally:
        running.terminate()
        try:
            await asyncio.wait_for(running.wait(), 20.0)
        except TimeoutError:
            running.kill()
            await running.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for *condition*; a scheduler that is not up yet is asked again."""
    async with asyncio.timeout(30):
        while True:
            try:
                if await condition():
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            await asyncio.sleep(0.02)
