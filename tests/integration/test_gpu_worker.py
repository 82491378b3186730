"""A GPU worker's process with the real binding, on cards that the test makes up."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import FailureKind, JobState
from callsheet.v1.lease_service_pb2 import DeviceReading, Grant, LeaseRef, Result, WorkResponse
from tests.support.cards import ATLAS, BOREAS, DRIVER_NOT_LOADED, LOST, card
from tests.support.gpu_workers import GpuHost
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.scripted_scheduler import ScriptedScheduler, Stream, scripted_scheduler
from tests.support.worker_processes import WorkerProcess, environment_of

LEASE = LeaseRef(job_id="01890a5d-ac96-774b-bcce-000000000001", token=1)


@pytest.fixture
def host(tmp_path: Path) -> GpuHost:
    return GpuHost(tmp_path)


@pytest.fixture
async def scheduler() -> AsyncIterator[ScriptedScheduler]:
    async with scripted_scheduler() as scheduler:
        yield scheduler


def address(scheduler: ScriptedScheduler) -> str:
    return f"127.0.0.1:{scheduler.port}"


def latest(stream: Stream, uuid: str = ATLAS) -> DeviceReading:
    """Return the newest reading of a card that has come."""
    readings = [
        reading
        for request in stream.requests
        for reading in request.heartbeat.devices
        if reading.uuid == uuid
    ]
    return readings[-1] if readings else DeviceReading()


async def ours_are(stream: Stream, uuid: str, mib: int) -> None:
    """Wait for a reading with so much memory of the worker's own."""
    await stream.until(lambda _: latest(stream, uuid).ours_mib == mib)


def granted(stream: Stream, device: str = ATLAS, *, params: object = None) -> None:
    grant = Grant(
        lease=LEASE,
        type="test_gpu",
        params_json=json.dumps(params or {}),
        attempt=1,
        run_limit_s=600,
        device_uuid=device,
        vram_mib=2000,
    )
    stream.say(WorkResponse(grants=[grant]))


async def encoder(worker: WorkerProcess) -> int:
    """Wait until the worker's child has become FFmpeg, and return its process id."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await asyncio.sleep(0.05)
            for pid in worker.encoders():
                return pid


async def cancelled(stream: Stream) -> Result:
    stream.revoke(LEASE, cancelled=True)
    return await stream.result(LEASE)


async def test_cards_are_told_in_the_hello_and_read_in_every_heartbeat(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(card(), card(BOREAS, index=1, mib=24_576), f"util {ATLAS} 30")
    async with host.worker(address(scheduler), gpu_encoder_sessions="8"):
        stream = await scheduler.welcomed()
        devices = {device.uuid: device for device in stream.hello.devices}
        await stream.until(lambda _: latest(stream).utilization_percent == 30)
        host.driver.set(card(used_mib=9000), card(BOREAS, index=1, mib=24_576))
        await stream.until(lambda _: latest(stream).used_mib == 9000)

    assert {uuid: device.memory_mib for uuid, device in devices.items()} == {ATLAS: 16_384, BOREAS: 24_576}
    assert devices[BOREAS].index == 1
    assert devices[BOREAS].driver == "580.65.06"
    assert devices[BOREAS].encoder_sessions_max == 8
    assert not stream.hello.software_gpu


async def test_attempt_is_pinned_to_its_card_and_its_peak_is_measured(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(card(), card(BOREAS, index=1))
    async with host.worker(address(scheduler)) as worker:
        stream = await scheduler.welcomed()
        granted(stream, BOREAS)
        pid = await encoder(worker)
        environment = environment_of(pid)
        others = f"process {BOREAS} {os.getpid()} 5000"
        for used_mib in (1500, 1900, 700):
            use = f"process {BOREAS} {pid} {used_mib}"
            host.driver.set(card(), card(BOREAS, index=1, used_mib=5000 + used_mib), use, others)
            await ours_are(stream, BOREAS, used_mib)
        held = list(latest(stream, BOREAS).held)
        result = await cancelled(stream)
        await stream.until(lambda _: not latest(stream, BOREAS).held)

    assert f"CUDA_VISIBLE_DEVICES={BOREAS}" in environment
    assert held == [LEASE]
    assert result.peak_vram_mib == 1900
    assert f"encodes on 2000 MiB of {BOREAS}" in stream.log_of(LEASE)


async def test_attempt_where_process_ids_mean_nothing_reports_no_peak(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(card())
    async with host.worker(address(scheduler), gpu_sees_pids="false") as worker:
        stream = await scheduler.welcomed()
        granted(stream)
        pid = await encoder(worker)
        host.driver.set(card(used_mib=2000), f"process {ATLAS} {pid} 2000")
        await stream.until(lambda _: latest(stream).used_mib == 2000)
        knows_ours = latest(stream).HasField("ours_mib")
        result = await cancelled(stream)

    assert not knows_ours
    assert result.peak_vram_mib == 0


async def test_want_of_gpu_memory_is_reported_as_that(host: GpuHost, scheduler: ScriptedScheduler) -> None:
    host.driver.set(card())
    async with host.worker(address(scheduler)):
        stream = await scheduler.welcomed()
        granted(stream, params={"scale": "CUDA_ERROR_OUT_OF_MEMORY"})
        failed = (await stream.result(LEASE)).failed

    assert failed.kind == FailureKind.FAILURE_KIND_OUT_OF_VRAM
    assert "no memory left" in failed.reason


async def test_card_that_is_lost_is_told_as_gone_and_when_it_is_back(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(card(), card(BOREAS, index=1))
    async with host.worker(address(scheduler)):
        stream = await scheduler.welcomed()
        await stream.until(lambda _: latest(stream).used_mib == 400)
        host.driver.add(f"fail nvmlDeviceGetHandleByIndex_v2 {LOST} {ATLAS}")
        await stream.until(lambda _: latest(stream).gone)
        problem = latest(stream).problem
        other = latest(stream, BOREAS)
        host.driver.drop("fail")
        await stream.until(lambda _: latest(stream).used_mib == 400)
        await host.says("can be used")
        assert not stream.ended.is_set()

    assert "left the bus" in problem
    assert "left the bus" in host.log
    assert not other.gone


async def test_worker_without_a_card_says_at_once_why_it_gets_no_job(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(f"fail nvmlInitWithFlags {DRIVER_NOT_LOADED}")
    async with host.worker(address(scheduler)):
        stream = await scheduler.welcomed()
        await host.says("this worker gets no job until there is one")

    assert not stream.hello.devices
    assert not stream.hello.software_gpu
    assert "CALLSHEET_SOFTWARE_GPU=true" in host.log
    assert "load the kernel module nvidia" in host.log


async def test_worker_in_software_takes_a_card_that_appears(
    host: GpuHost, scheduler: ScriptedScheduler
) -> None:
    host.driver.set(f"fail nvmlInitWithFlags {DRIVER_NOT_LOADED}")
    async with host.worker(address(scheduler), software_gpu="true") as worker:
        first = await scheduler.welcomed()
        granted(first, "")
        await encoder(worker)
        await first.until(lambda _: "encodes in software" in first.log_of(LEASE))
        host.driver.set(card())
        second = await scheduler.welcomed()
        result = await cancelled(second)

    assert first.hello.software_gpu
    assert not first.hello.devices
    assert [device.uuid for device in second.hello.devices] == [ATLAS]
    assert not second.hello.software_gpu
    assert list(second.hello.held) == [LEASE]
    assert result.failed.kind == FailureKind.FAILURE_KIND_CANCELLED


async def test_driver_that_hangs_holds_up_nobody(host: GpuHost, scheduler: ScriptedScheduler) -> None:
    host.driver.set(card(), "hang nvmlInitWithFlags")
    async with host.worker(address(scheduler), gpu_patience_s="0.2") as worker:
        first = await scheduler.welcomed()
        await first.until(lambda said: len([one for one in said if one.HasField("heartbeat")]) > 3)
        await host.says("the driver gave no answer within 0.2 s")
        host.driver.drop("hang")
        second = await scheduler.welcomed()
        await second.until(lambda _: latest(second).used_mib == 400)
        host.driver.add("hang nvmlDeviceGetMemoryInfo")
        await second.until(lambda _: "has not answered for" in latest(second).problem)
        silent = latest(second)
        code = await worker.left()

    assert not first.hello.devices
    assert silent.used_mib == 0
    assert code == 0


async def test_chosen_card_alone_is_offered(host: GpuHost, scheduler: ScriptedScheduler) -> None:
    host.driver.set(card(), card(BOREAS, index=1))
    async with host.worker(address(scheduler), gpu_devices=f"{BOREAS[:8]},7"):
        stream = await scheduler.welcomed()
        await host.says("there is no such card")

    assert [device.uuid for device in stream.hello.devices] == [BOREAS]


@pytest.fixture
async def leader(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as leader:
        yield leader


@pytest.fixture
async def jobs(leader: RealScheduler) -> AsyncIterator[Jobs]:
    async with open_channel(leader.address) as channel:
        yield Jobs(channel)


async def test_job_gets_its_share_of_the_card_and_the_next_waits_for_it(
    host: GpuHost, leader: RealScheduler, jobs: Jobs
) -> None:
    host.driver.set(card(mib=3000, used_mib=10))
    async with host.worker(leader.address, slots="2"):
        await jobs.known("test_gpu")
        first, second = await jobs.submitted("test_gpu", "test_gpu")
        (running,) = await jobs.reached([first], JobState.JOB_STATE_RUNNING)
        waiting = await jobs.seen(second)
        await jobs.cancel(first)
        await jobs.reached([first], JobState.JOB_STATE_CANCELLED)
        (later,) = await jobs.reached([second], JobState.JOB_STATE_RUNNING)
        await jobs.logged(second, f"encodes on 2000 MiB of {ATLAS}")

    assert (running.device_uuid, running.software) == (ATLAS, False)
    assert waiting.state == JobState.JOB_STATE_PENDING
    assert later.device_uuid == ATLAS


async def test_job_without_a_card_is_done_in_software(
    host: GpuHost, leader: RealScheduler, jobs: Jobs
) -> None:
    async with host.worker(leader.address, software_gpu="true"):
        await jobs.known("test_gpu")
        (one,) = await jobs.submitted("test_gpu")
        (running,) = await jobs.reached([one], JobState.JOB_STATE_RUNNING)

    assert (running.device_uuid, running.software) == ("", True)


async def test_want_of_gpu_memory_spends_no_retry(host: GpuHost, leader: RealScheduler, jobs: Jobs) -> None:
    host.driver.set(card())
    async with host.worker(leader.address):
        await jobs.known("test_gpu")
        complaint = json.dumps({"scale": "CUDA_ERROR_OUT_OF_MEMORY"})
        (one,) = await jobs.submitted("test_gpu", max_retries=0, params=complaint)
        await jobs.logged(one, "no memory left")
        (again,) = await jobs.reached([one], JobState.JOB_STATE_PENDING)

    assert again.retry_count == 0
    assert "no memory left" in again.attempts[0].error
