"""A worker in the test's own process, with job types that do what a test needs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from typing_extensions import override

from callsheet.catalog import Category, JobType
from callsheet.errors import CapacityError
from callsheet.params import JobParams, NoParams
from callsheet.service.settings import RootSettings
from callsheet.v1.library_service_pb2 import DerivativeFacts
from callsheet.worker.context import JobContext
from callsheet.worker.main import work
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.registry import AnyProcessor
from callsheet.worker.settings import WorkerSettings
from tests.support.folders import folder_of
from tests.support.patience import PATIENCE_S


class CountParams(JobParams):
    count_to: int


class Noop(Processor[NoParams]):
    job_type = JobType(name="noop", description="Does nothing.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        return Outcome()


class Count(Processor[CountParams]):
    job_type = JobType(name="count", description="Counts and tells.", params=CountParams)

    @override
    async def process(self, params: CountParams, context: JobContext) -> Outcome:
        for number in range(1, params.count_to + 1):
            context.report.log(f"number {number}\x00\x1b[31m")
            context.report.progress(100 * number // params.count_to)
        return Outcome(result={"counted": params.count_to})


class Faulty(Processor[NoParams]):
    job_type = JobType(name="faulty", description="Has a fault.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        raise KeyError("no such thing")


class Full(Processor[NoParams]):
    job_type = JobType(name="full", description="Finds no room.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        raise CapacityError("the disk is full")


class Patient(Processor[NoParams]):
    """Waits until the test lets it go; notes how often it runs at once."""

    job_type = JobType(name="patient", description="Waits.", params=NoParams)

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0
        self.cancelled = 0

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        self.begun += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Outcome()


class Publish(Processor[NoParams]):
    """Publishes one file under its lease's name, and claims another that is not its own."""

    job_type = JobType(name="publish", description="Publishes.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        names = [f"picture.{context.lease.file_tag}.jpg", "picture.jpg"]
        for name in names:
            (folder_of(context.roots["made"]) / name).write_bytes(b"picture")
        made = [DerivativeFacts(item_id="1", kind="thumbnail", root="made", path=name) for name in names]
        return Outcome(derivatives=made)


class RunningWorker:
    """A worker that runs until its ``with`` ends or it was told to stop."""

    def __init__(self, settings: WorkerSettings, more: Sequence[AnyProcessor]) -> None:
        self.patient = Patient()
        self.stop = asyncio.Event()
        processors: list[AnyProcessor] = [Noop(), Count(), Faulty(), Full(), Publish(), self.patient, *more]
        self.running = asyncio.create_task(
            work(
                settings,
                self.stop,
                kind="cpu",
                categories=(Category.CPU,),
                processors={one.job_type.name: one for one in processors},
            )
        )

    async def exit_code(self) -> int:
        """Wait until it has left."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.running


@asynccontextmanager
async def running_worker(
    port: int, folder: Path, *, more: Sequence[AnyProcessor] = (), **changes: object
) -> AsyncGenerator[RunningWorker]:
    """Run a worker with its spool and one writable root in *folder*; at the end it is gone at once.

    *more* are processors beside the usual ones; *changes* are settings.
    """
    made = folder / "made"
    made.mkdir(exist_ok=True)
    values: dict[str, object] = {
        "scheduler": f"127.0.0.1:{port}",
        "roots": {"made": RootSettings(path=made, writable=True)},
        "spool": folder / "spool",
        "children": 0,
        "slots": 3,
        "host": "atlas",
        "drain_grace_s": 20.0,
    }
    worker = RunningWorker(WorkerSettings.model_validate(values | changes), more)
    try:
        yield worker
    finally:
        if not worker.running.done():
            worker.running.cancel()
            with suppress(asyncio.CancelledError):
                await worker.running
