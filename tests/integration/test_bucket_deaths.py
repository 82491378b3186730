"""A worker that is killed while it sends a film to a bucket: another makes it, and nothing is left over."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from tests.support.gates import Gate, gate_before
from tests.support.media import ffmpeg
from tests.support.objects import SECRET, Bucket, Objects
from tests.support.patience import PATIENCE_S
from tests.support.plug_ins import ROOT
from tests.support.processes import until
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.worker_processes import worker_process

GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 40\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>"
"""What the server answers about a bucket that is gone."""


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    (tmp_path / ROOT).mkdir()
    async with real_scheduler(fresh_dsn, tmp_path, lease_ttl_s="3", retry_base_s="0.2") as scheduler:
        yield scheduler


@pytest.fixture
async def jobs(scheduler: RealScheduler) -> AsyncIterator[Jobs]:
    async with open_channel(scheduler.address) as channel:
        yield Jobs(channel)


@pytest.fixture
async def gate(objects: Objects) -> AsyncIterator[Gate]:
    async with gate_before(objects.endpoint) as gate:
        yield gate


def told(objects: Objects, bucket: Bucket, folder: Path, endpoint: str) -> dict[str, str]:
    """Return what a worker is told of a bucket that is reached at *endpoint*."""
    root = objects.settings(bucket.name, endpoint=endpoint).model_dump(mode="json")
    return {
        "roots": json.dumps({ROOT: root}),
        "scratch": str(folder / "scratch"),
        "free_disk_floor_mib": "1",
        "sweep_interval_s": "1",
    }


async def put_noise(bucket: Bucket, folder: Path) -> None:
    """Put a film whose encode is larger than what is sent in one piece."""
    noise = "testsrc2=size=640x360:rate=25:duration=3,noise=alls=100:allf=t"
    file = folder / "noise.mp4"
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")
    await asyncio.to_thread(ffmpeg, "-f", "lavfi", "-i", noise, *codec, str(file))
    await asyncio.to_thread(bucket.put, "noise.mp4", file.read_bytes())


async def settled(bucket: Bucket) -> None:
    """Wait until the film is in its place and nothing lies beside it."""
    async with asyncio.timeout(PATIENCE_S):
        await until(lambda: bucket.keys() == ["films/made.mkv", "noise.mp4"] and not bucket.uploads())


async def encode(jobs: Jobs) -> str:
    await jobs.known("test_encode")
    params = json.dumps({"path": "noise.mp4", "outputPath": "films/made.mkv"})
    (job_id,) = await jobs.submitted("test_encode", params=params, max_retries=20)
    return job_id


async def test_worker_killed_in_the_middle_of_an_upload_leaves_nothing(
    scheduler: RealScheduler, jobs: Jobs, objects: Objects, bucket: Bucket, gate: Gate, tmp_path: Path
) -> None:
    await put_noise(bucket, tmp_path)
    gate.stop_at = b"partNumber=2"
    first = told(objects, bucket, tmp_path, gate.endpoint)
    async with worker_process(scheduler.address, tmp_path, "atlas", **first) as worker:
        job_id = await encode(jobs)
        async with asyncio.timeout(PATIENCE_S):
            await gate.held.wait()
        assert [one.key.startswith("films/.made.mkv.") for one in bucket.uploads()] == [True]
        await worker.kill()
    gate.stop_at = None
    gate.open.set()
    assert list((tmp_path / "scratch").iterdir()) == []

    second = told(objects, bucket, tmp_path, objects.endpoint)
    async with worker_process(scheduler.address, tmp_path, "boreas", **second):
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await settled(bucket)

    assert (len(job.attempts), job.retry_count) == (2, 0)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert SECRET not in await jobs.log_of(job_id)


async def test_bucket_that_disappears_under_a_job_lets_it_try_again_when_it_is_back(
    scheduler: RealScheduler, jobs: Jobs, objects: Objects, bucket: Bucket, gate: Gate, tmp_path: Path
) -> None:
    await put_noise(bucket, tmp_path)
    gate.stop_at = b"partNumber=2"
    reached = told(objects, bucket, tmp_path, gate.endpoint)
    async with worker_process(scheduler.address, tmp_path, "atlas", **reached):
        job_id = await encode(jobs)
        async with asyncio.timeout(PATIENCE_S):
            await gate.held.wait()
        gate.refuse(GONE)
        gate.stop_at = None
        gate.open.set()
        await jobs.logged(job_id, "there is no bucket")
        gate.times = 0
        await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await settled(bucket)
