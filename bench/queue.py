"""Measures the queue: durable no-op jobs through gRPC, done by a real worker process.

Prints jobs per second and the time from submission to start, with the machine's facts.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.channel import open_channel
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.v1.fleet_service_pb2 import ListWorkersRequest
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import JOB_STATE_COMPLETED, NewJob
from callsheet.v1.job_service_pb2 import GetStatsRequest, SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from callsheet.v1.fleet_service_pb2_grpc import FleetServiceAsyncStub
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub

BATCH = 500

Jobs: TypeAlias = "JobServiceAsyncStub"
Fleet: TypeAlias = "FleetServiceAsyncStub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    machine: str
    cores: int
    python: str
    fsync: str
    slots: int
    drain_jobs: int
    submit_per_s: float
    drain_per_s: float
    idle_p50_ms: float
    idle_p99_ms: float


class Bench:
    """One database, one scheduler, one worker process."""

    def __init__(self, folder: Path, dsn: str, slots: int) -> None:
        self.folder = folder
        self.dsn = dsn
        self.slots = slots
        self.clock = SystemClock()
        self.starts = folder / "starts"
        self.address = ""

    @asynccontextmanager
    async def scheduler(self) -> AsyncGenerator[None]:
        """Run a scheduler whose limits do not hold the worker back."""
        port_file = self.folder / "port"
        environment = os.environ | {
            "CALLSHEET_DATABASE_URL": self.dsn,
            "CALLSHEET_LISTEN": "127.0.0.1:0",
            "CALLSHEET_PORT_FILE": str(port_file),
            "CALLSHEET_LIMIT_CPU": "10000",
            "CALLSHEET_LOG_LEVEL": "warning",
        }
        async with _process("callsheet_scheduler.main", environment):
            while not port_file.exists():
                await asyncio.sleep(0.02)
            self.address = f"127.0.0.1:{port_file.read_text().strip()}"
            yield

    @asynccontextmanager
    async def worker(self, *, starts: bool) -> AsyncGenerator[None]:
        """Run the worker until the block ends."""
        arguments = ["--scheduler", self.address, "--slots", str(self.slots)]
        arguments += ["--spool", str(self.folder / "spool")]
        arguments += ["--starts", str(self.starts)] if starts else []
        async with _process("bench.noop_worker", dict(os.environ), *arguments):
            yield


@asynccontextmanager
async def _process(module: str, environment: dict[str, str], *arguments: str) -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=environment,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20.0)
        except TimeoutError:
            process.kill()
            await process.wait()


async def measure(folder: Path, *, jobs: int, probes: int, slots: int) -> Figures:
    """Run the benchmark in *folder* and return its figures."""
    async with EmbeddedPostgres(folder) as dsn:
        bench = Bench(folder, dsn, slots)
        async with bench.scheduler():
            channel = open_channel(bench.address)
            try:
                return await _measure(
                    bench, JobServiceStub(channel), FleetServiceStub(channel), jobs=jobs, probes=probes
                )
            finally:
                await channel.close()


async def _measure(bench: Bench, stub: Jobs, fleet: Fleet, *, jobs: int, probes: int) -> Figures:
    async with bench.worker(starts=False):
        await _until(lambda: _connected(fleet))
    await _until(lambda: _gone(fleet))
    begun = bench.clock.monotonic()
    for start in range(0, jobs, BATCH):
        count = min(BATCH, jobs - start)
        await stub.SubmitJobs(
            SubmitJobsRequest(jobs=[NewJob(id=new_job_id(), type="noop") for _ in range(count)])
        )
    submit_s = bench.clock.monotonic() - begun
    async with bench.worker(starts=False):
        await _until(lambda: _connected(fleet))
        begun = bench.clock.monotonic()
        already = await _completed(stub)
        while (done := await _completed(stub)) < jobs:
            await asyncio.sleep(0.01)
        drain_s = bench.clock.monotonic() - begun
    async with bench.worker(starts=True):
        await _until(lambda: _connected(fleet))
        latencies = await _idle(bench, stub, probes)
    cuts = statistics.quantiles(latencies, n=100)
    return Figures(
        machine=f"{platform.machine()} {platform.system()} {platform.release()}",
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        fsync="on",
        slots=bench.slots,
        drain_jobs=jobs,
        submit_per_s=round(jobs / submit_s),
        drain_per_s=round((done - already) / drain_s),
        idle_p50_ms=round(statistics.median(latencies) * 1000, 2),
        idle_p99_ms=round(cuts[98] * 1000, 2),
    )


async def _idle(bench: Bench, stub: Jobs, probes: int) -> list[float]:
    submitted: dict[str, float] = {}
    for _ in range(probes):
        job_id = new_job_id()
        submitted[job_id] = bench.clock.monotonic()
        await stub.SubmitJobs(SubmitJobsRequest(jobs=[NewJob(id=job_id, type="noop")]))
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    started = dict(line.split() for line in bench.starts.read_text().splitlines())
    return [float(started[job_id]) - at for job_id, at in submitted.items()]


async def _completed(stub: Jobs) -> int:
    stats = await stub.GetStats(GetStatsRequest())
    return sum(count.count for count in stats.states if count.state == JOB_STATE_COMPLETED)


async def _connected(fleet: Fleet) -> bool:
    workers = (await fleet.ListWorkers(ListWorkersRequest(), wait_for_ready=True)).workers
    return any(worker.connected for worker in workers)


async def _gone(fleet: Fleet) -> bool:
    return not await _connected(fleet)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if await condition():
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            await asyncio.sleep(0.02)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as folder:
        Path(folder).chmod(0o711)  # so that the database of a root lies here too
        figures = asyncio.run(
            measure(Path(folder), jobs=options.jobs, probes=options.probes, slots=options.slots),
        )
    if options.json:
        print(json.dumps(asdict(figures)))
        return
    for name, value in asdict(figures).items():
        print(f"{name:>14}  {value}")


if __name__ == "__main__":
    main()
