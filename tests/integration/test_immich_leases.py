"""Immich's queues as jobs of a real scheduler: leases cover them, and they share a card with other jobs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import TypeVar

import grpc
from callsheet_immich_agent.main import share
from callsheet_immich_agent.policy import UNMANAGED
from callsheet_immich_agent.settings import ImmichWorkerSettings
from typing_extensions import override

from callsheet.catalog import Category, JobType
from callsheet.params import NoParams
from callsheet.v1.fleet_service_pb2 import ListDevicesRequest
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.worker.context import JobContext
from callsheet.worker.main import work
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.settings import WorkerSettings
from callsheet.worker.stream.devices import Device, Look, Reading, SeenDevice
from tests.support.immich_process import start
from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.patience import PATIENCE_S
from tests.support.processes import until
from tests.support.queue import CALL_DEADLINE_S, Jobs
from tests.support.real_scheduler import RealScheduler

AnswerT = TypeVar("AnswerT")


CARD = Device(uuid="GPU-shared", index=0, name="card", capacity_mib=4512, driver="1")
LOOK = Look(at=inf, devices=[SeenDevice(device=CARD, reading=Reading(used_mib=0, processes=()))])


class Label(Processor[NoParams]):
    """A job of Callsheet's own that uses the card until the test lets it go."""

    job_type = JobType(
        name="label", description="Labels.", params=NoParams, category=Category.GPU_AI, vram_mib=2000
    )

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        await self.go_on.wait()
        return Outcome()


@asynccontextmanager
async def gpu_worker(scheduler: RealScheduler, folder: Path) -> AsyncGenerator[Label]:
    label, stop = Label(), asyncio.Event()
    settings = WorkerSettings.model_validate(
        {
            "scheduler": scheduler.address,
            "spool": folder / "spool",
            "children": 0,
            "host": "atlas",
            "slots": 2,
        }
    )
    running = asyncio.create_task(
        work(
            settings,
            stop,
            kind="gpu",
            categories=(Category.GPU_AI,),
            processors={"label": label},
            look=lambda: LOOK,
        )
    )
    try:
        yield label
    finally:
        label.go_on.set()
        stop.set()
        await running


@asynccontextmanager
async def controller(scheduler: RealScheduler, immich: StandIn, folder: Path) -> AsyncGenerator[None]:
    """Run the controller; at the end everything is open."""
    stop = asyncio.Event()
    settings = ImmichWorkerSettings.model_validate(
        {
            "scheduler": scheduler.address,
            "host": "borea",
            "immich_url": immich.address,
            "immich_api_key": KEY,
            "immich_poll_interval_s": 0.5,
            "immich_state": folder / "state",
            "immich_gpu": CARD.uuid,
            "immich_gpu_mib": CARD.capacity_mib,
            "immich_vram_mib": {"smartSearch": 3000},
        }
    )
    running = asyncio.create_task(share(settings, stop))
    try:
        yield
    finally:
        stop.set()
        assert await running == 0
    assert immich.immich.open() == set(NAMES)


class Seen:
    """What the scheduler tells. One that has lost its database for a moment is waited for."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._jobs = JobServiceStub(channel)
        self._fleet = FleetServiceStub(channel)

    async def charges(self) -> dict[str, int]:
        """Return what is charged to the card, by job type."""

        async def ask() -> dict[str, int]:
            answer = await self._fleet.ListDevices(ListDevicesRequest(), timeout=CALL_DEADLINE_S)
            return {one.type: one.vram_mib for device in answer.devices for one in device.allocations}

        return await _patiently(ask)

    async def job(self, job_type: str, good: Callable[[Job], bool]) -> Job:
        """Wait until the newest job of a type is as wanted, and return it."""

        async def ask() -> Job | None:
            request = ListJobsRequest(types=[job_type])
            answer = await self._jobs.ListJobs(request, timeout=CALL_DEADLINE_S)
            return next((job for job in answer.jobs[:1] if good(job)), None)

        return await _patiently(ask)


async def _patiently(ask: Callable[[], Awaitable[AnswerT | None]]) -> AnswerT:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if (answer := await ask()) is not None:
                    return answer
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            await asyncio.sleep(0.05)


def running(job: Job) -> bool:
    return job.state == JobState.JOB_STATE_RUNNING


def waiting_for_room(job: Job) -> bool:
    return job.state == JobState.JOB_STATE_PENDING and "MB" in job.waiting_reason


async def test_a_card_is_shared_by_the_ledger_and_a_recalled_queue_is_covered_until_it_is_idle(
    scheduler: RealScheduler, channel: grpc.aio.Channel, jobs: Jobs, tmp_path: Path
) -> None:
    seen = Seen(channel)
    found = SimulatedImmich({"smartSearch": 2, "sidecar": 2}, follow_on={})
    queues = found.queues
    queues["smartSearch"].service_s = inf
    for name in set(NAMES) - UNMANAGED:
        found.pause(name)
    async with standing_in(found) as immich, gpu_worker(scheduler, tmp_path) as label:
        immich.per_look_s = 10.0
        await jobs.known("label")
        await jobs.submitted("label")
        await seen.job("label", running)

        async with controller(scheduler, immich, tmp_path):
            # Immich waits for room on the card, and its place is not left idle meanwhile.
            await seen.job("immich_queue_ai", waiting_for_room)
            await until(lambda: queues["sidecar"].completed == 2)
            assert "resume smartSearch" not in immich.commands
            label.go_on.set()
            await until(lambda: "resume smartSearch" in immich.commands)
            charged = await seen.charges()

            # Callsheet's job waits for room, until the queue has drained.
            label.go_on.clear()
            await jobs.submitted("label")
            await seen.job("label", waiting_for_room)
            queues["smartSearch"].active = [1.0, 1.0]
            await seen.job("label", running)
            drained = await seen.charges()
            label.go_on.set()
            await seen.job("label", lambda job: job.state == JobState.JOB_STATE_COMPLETED)

            # A lease that is asked back goes when nothing of the queue is active any more.
            queues["smartSearch"].waiting = 2
            job = await seen.job("immich_queue_ai", running)
            await until(lambda: len(queues["smartSearch"].active) == 2)
            await jobs.cancel(job.id)
            looks = len(immich.asked)
            await until(lambda: len(immich.asked) > looks + 2)
            recalled = await seen.charges(), queues["smartSearch"].paused
            queues["smartSearch"].active = [1.0, 1.0]
            await jobs.reached([job.id], JobState.JOB_STATE_CANCELLED)
            ended = await seen.charges()

    assert charged == recalled[0] == {"immich_queue_ai": 3000}
    assert drained == {"label": 2000}
    assert not recalled[1]
    assert ended == {}
    assert immich.immich.wrong_pauses == 0


async def test_the_queue_of_a_killed_controller_stays_charged_and_is_paused_by_the_next_when_it_is_idle(
    scheduler: RealScheduler, channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    seen = Seen(channel)
    found = SimulatedImmich({"smartSearch": 2}, follow_on={})
    found.queues["smartSearch"].service_s = inf
    for name in set(NAMES) - UNMANAGED:
        found.pause(name)
    async with standing_in(found) as immich:
        killed = await start(
            tmp_path,
            immich.address,
            "work",
            CALLSHEET_SCHEDULER=scheduler.address,
            CALLSHEET_IMMICH_GPU=CARD.uuid,
            CALLSHEET_IMMICH_GPU_MIB=str(CARD.capacity_mib),
        )
        await seen.job("immich_queue_ai", running)
        await until(lambda: len(found.queues["smartSearch"].active) == 2)
        killed.kill()
        await killed.communicate()
        await seen.job("immich_queue_ai", lambda job: job.state == JobState.JOB_STATE_PENDING)
        async with controller(scheduler, immich, tmp_path):
            await seen.job("immich_queue_ai", waiting_for_room)
            lingering = await seen.charges(), found.queues["smartSearch"].paused
            immich.per_look_s, found.queues["smartSearch"].active = 10.0, [1.0, 1.0]
            await until(lambda: found.queues["smartSearch"].paused)

    assert lingering == ({"immich_queue_ai": 3000}, False)
    assert found.wrong_pauses == 0
