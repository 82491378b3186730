"""Worker processes that are killed, stopped and cut off in mid-work on media, with a real scheduler."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import av
import pytest

from callsheet.channel import open_channel
from callsheet.service.clock import SystemClock
from callsheet.v1.job_pb2 import Job, JobState
from tests.support.media import video
from tests.support.patience import PATIENCE_S
from tests.support.plug_ins import ROOT
from tests.support.processes import ended, until
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.worker_processes import WorkerProcess, worker_process

log = logging.getLogger(__name__)

TTL_S = 3.0
HEARTBEAT_S = TTL_S / 5
BUSY_S = 30.0
"""How much longer anything may take because the machine is busy."""
LONG_TTL_S = 20.0
"""For what must not expire: a process may take seconds to start."""
OUTAGE_S = float(os.environ.get("CALLSHEET_TEST_OUTAGE_S", "4"))
"""How long the scheduler is away; by hand it may be longer than a release should wait for."""


@pytest.fixture
async def scheduler(
    fresh_dsn: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[RealScheduler]:
    """A scheduler whose leases last `TTL_S`, or what a test says."""
    (tmp_path / ROOT).mkdir()
    lease_ttl_s = str(getattr(request, "param", TTL_S))
    async with real_scheduler(fresh_dsn, tmp_path, lease_ttl_s=lease_ttl_s) as scheduler:
        yield scheduler


@pytest.fixture
async def jobs(scheduler: RealScheduler) -> AsyncIterator[Jobs]:
    async with open_channel(scheduler.address) as channel:
        yield Jobs(channel)


def film(folder: Path, name: str, seconds: float) -> None:
    video(folder / ROOT / name, seconds=seconds, size="128x72")


async def encode(jobs: Jobs, name: str, output: str, *, live: bool = True) -> str:
    """Submit an encode that, live, takes as long as its input plays."""
    await jobs.known("test_encode")
    params = json.dumps({"path": name, "outputPath": output, "live": live})
    (job_id,) = await jobs.submitted("test_encode", params=params)
    return job_id


async def encoding(worker: WorkerProcess) -> int:
    """Wait until the worker encodes and the file grows; return the encoder."""
    async with asyncio.timeout(PATIENCE_S):
        await until(lambda: any((worker.made / one).stat().st_size for one in unfinished(worker)))
        (encoder,) = worker.encoders()
    return encoder


def unfinished(worker: WorkerProcess) -> list[str]:
    return [name for name in worker.files() if name.endswith(".partial")]


def outcomes(job: Job) -> list[str]:
    return [attempt.outcome for attempt in job.attempts]


def seconds_between(earlier: datetime, job: Job) -> float:
    return job.attempts[-1].started_at.ToNanoseconds() / 1e9 - earlier.timestamp()


def duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


async def test_job_of_a_killed_worker_runs_again_within_ttl_and_heartbeat_and_publishes_once(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "film.mp4", 4)
    async with worker_process(scheduler.address, tmp_path) as first:
        job_id = await encode(jobs, "film.mp4", "cuts/film.mkv")
        encoder = await encoding(first)
        async with worker_process(scheduler.address, tmp_path, "borealis") as second:
            await jobs.connected(2)
            killed_at = SystemClock().now()
            await first.kill()
            await until(lambda: ended(encoder))
            (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
            again_s = seconds_between(killed_at, job)
            log.info("the job ran again %.2f s after its worker was killed", again_s)
            assert again_s < TTL_S + HEARTBEAT_S + BUSY_S
            await until(lambda: second.files() == ["cuts/film.mkv", "film.mp4"])

    assert outcomes(job) == ["expired", "completed"]
    assert (job.retry_count, job.attempt) == (0, 2)
    assert duration_s(first.made / "cuts/film.mkv") == pytest.approx(4, abs=0.5)


async def test_stopped_worker_publishes_nothing_when_it_goes_on(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "film.mp4", 6)
    async with worker_process(scheduler.address, tmp_path) as first:
        job_id = await encode(jobs, "film.mp4", "film.mkv")
        encoder = await encoding(first)
        async with worker_process(scheduler.address, tmp_path, "borealis") as second:
            await jobs.connected(2)
            first.freeze()
            await until(lambda: ended(encoder))
            (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
            await until(lambda: "film.mkv" in second.files())
            made = (second.made / "film.mkv").stat()

            first.thaw()
            await until(lambda: second.files() == ["film.mkv", "film.mp4"])
            later = await encode(jobs, "film.mp4", "later.mkv", live=False)
            await jobs.reached([later], JobState.JOB_STATE_COMPLETED)
            assert await first.left() == 0
            (after,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)

    assert (outcomes(job)[0], outcomes(job)[-1]) == ("expired", "completed")
    assert outcomes(after) == outcomes(job)
    kept = (second.made / "film.mkv").stat()
    assert (kept.st_ino, kept.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


@pytest.mark.parametrize("scheduler", [LONG_TTL_S], indirect=True)
async def test_outage_of_the_scheduler_interrupts_no_encode_and_loses_no_result(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "short.mp4", OUTAGE_S / 2)
    film(tmp_path, "long.mp4", OUTAGE_S + 6)
    async with worker_process(scheduler.address, tmp_path) as worker:
        ids = [await encode(jobs, f"{name}.mp4", f"{name}.mkv") for name in ("short", "long")]
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)
        await until(lambda: len(worker.encoders()) == 2)
        before = worker.encoders()

        await scheduler.kill()
        gone_at = SystemClock().monotonic()
        await until(lambda: len(worker.spooled()) == 1 and SystemClock().monotonic() > gone_at + OUTAGE_S)
        (still,) = worker.encoders()
        await scheduler.start()
        back_s = SystemClock().monotonic() - gone_at
        done = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
        settled_s = SystemClock().monotonic() - gone_at
        log.info("the scheduler was away for %.1f s, both jobs were done after %.1f s", back_s, settled_s)
        await until(lambda: worker.files() == ["long.mkv", "long.mp4", "short.mkv", "short.mp4"])
        await until(lambda: worker.spooled() == [])

    assert still in before
    assert [outcomes(job) for job in done] == [["completed"], ["completed"]]
    assert duration_s(worker.made / "long.mkv") == pytest.approx(OUTAGE_S + 6, abs=0.5)


@pytest.mark.parametrize("scheduler", [LONG_TTL_S], indirect=True)
async def test_result_spooled_in_an_outage_outlives_its_worker(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "short.mp4", 2)
    async with worker_process(scheduler.address, tmp_path) as worker:
        job_id = await encode(jobs, "short.mp4", "short.mkv")
        await encoding(worker)
        await scheduler.kill()
        await until(lambda: len(worker.spooled()) == 1)
        await worker.kill()

        await scheduler.start()
        await worker.start()
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await until(lambda: worker.files() == ["short.mkv", "short.mp4"])
        await until(lambda: worker.spooled() == [])

    assert outcomes(job) == ["completed"]


async def test_output_is_placed_though_its_worker_dies_between_commit_and_placement(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "film.mp4", 3)
    away = tmp_path / "away"
    async with worker_process(scheduler.address, tmp_path) as worker:
        job_id = await encode(jobs, "film.mp4", "film.mkv")
        await encoding(worker)
        worker.made.rename(away)  # as a disk that is unmounted: what is open stays open
        await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await worker.kill()
        assert len([path for path in away.iterdir() if path.name.endswith(".staged")]) == 1
        away.rename(worker.made)

        async with worker_process(scheduler.address, tmp_path, "borealis") as other:
            await until(lambda: other.files() == ["film.mkv", "film.mp4"])

    assert duration_s(worker.made / "film.mkv") == pytest.approx(3, abs=0.5)


async def test_output_whose_name_was_taken_meanwhile_stays_beside_it(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "film.mp4", 3)
    async with worker_process(scheduler.address, tmp_path) as worker:
        job_id = await encode(jobs, "film.mp4", "film.mkv")
        await encoding(worker)
        (worker.made / "film.mkv").write_bytes(b"somebody else's")
        await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await jobs.logged(job_id, "something else lies there; the file stays beside it as .film.mkv.")

    assert (worker.made / "film.mkv").read_bytes() == b"somebody else's"
    (kept,) = [name for name in worker.files() if name.endswith(".staged")]
    assert duration_s(worker.made / kept) == pytest.approx(3, abs=0.5)


async def test_job_that_three_workers_in_a_row_died_of_fails_with_words(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    film(tmp_path, "film.mp4", 60)
    async with worker_process(scheduler.address, tmp_path) as worker:
        job_id = await encode(jobs, "film.mp4", "film.mkv")
        for _ in range(3):
            await until(lambda: bool(worker.encoders()))
            await jobs.reached([job_id], JobState.JOB_STATE_RUNNING)
            await worker.kill()
            await worker.start()
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_FAILED)
        await until(lambda: worker.files() == ["film.mp4"])

    assert job.error == "3 workers in a row were lost while they ran this job; its media may be the cause"
    assert (job.attempt, job.retry_count) == (3, 0)
