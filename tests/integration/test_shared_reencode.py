"""A long re-encode on two real workers: both help, one dies, the parent is cancelled, the scheduler dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.lease import Lease
from callsheet.worker.reports import Remote
from tests.support.numbered import numbered, phase_steps, read
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.short_leases import item_at
from tests.support.worker_processes import WorkerProcess, worker_process
from tests.support.workers import running_worker

FRAMES = 12 * 25
MADE = "playback/film.mp4"
COMPLETED, RUNNING = JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_RUNNING


@pytest.fixture
async def item(scheduler: RealScheduler, channel: grpc.aio.Channel, jobs: Jobs, tmp_path: Path) -> Item:
    """A video that a CPU worker has scanned, with a number in every frame."""
    places = json.dumps(roots(tmp_path))
    codec = ("-c:v", "mpeg4", "-q:v", "2", "-g", "25", "-c:a", "flac")
    await asyncio.to_thread(numbered, tmp_path / "library/film.mkv", frames=FRAMES, codec=codec)
    async with worker_process(scheduler.address, tmp_path, "scanner", roots=places):
        await jobs.known("scan")
        await jobs.reached(await jobs.submitted("scan"), COMPLETED)
    return await item_at(channel, "library", "film.mkv")


@pytest.fixture
async def worker(scheduler: RealScheduler, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    worker = gpu_worker(scheduler, tmp_path, "atlas")
    await worker.start()
    yield worker
    await worker.kill()


@pytest.fixture
async def other(scheduler: RealScheduler, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    other = gpu_worker(scheduler, tmp_path, "boreas")
    await other.start()
    yield other
    await other.kill()


def roots(folder: Path, *, without: str = "", read_only: bool = False) -> dict[str, object]:
    for name in ("library", "outputs", "derivatives"):
        (folder / name).mkdir(exist_ok=True)
    places: dict[str, object] = {
        "library": {"path": str(folder / "library")},
        "outputs": {"path": str(folder / "outputs"), "writable": not read_only},
        "derivatives": {"path": str(folder / "derivatives"), "writable": True},
    }
    return {name: place for name, place in places.items() if name != without}


def gpu_worker(
    scheduler: RealScheduler, folder: Path, name: str, places: dict[str, object] | None = None
) -> WorkerProcess:
    """Return a GPU worker without a card, with one slot."""
    settings = {
        "CALLSHEET_ROOTS": json.dumps(places or roots(folder)),
        "CALLSHEET_SOFTWARE_GPU": "true",
        "CALLSHEET_SLOTS": "1",
        "CALLSHEET_CHUNK_S": "2",
        "CALLSHEET_SWEEP_INTERVAL_S": "1",
    }
    return WorkerProcess(scheduler.address, folder, name, settings, kind="gpu")


async def submitted(jobs: Jobs, item: Item, *, preset: str = "veryslow", **wishes: object) -> str:
    await jobs.known("reencode_streaming", "reencode_chunk")
    params = {"videoId": item.id, "preset": preset, "targetBitrate": 8000, "outputPath": MADE, **wishes}
    (job_id,) = await jobs.submitted("reencode_streaming", params=json.dumps(params), collection="films")
    return job_id


async def running_child(jobs: Jobs, parent: str) -> Job:
    """Wait until a chunk is being encoded, and return its job."""
    await jobs.first_children(parent)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for child in await jobs.children(parent):
                if child.state == RUNNING and "trim=" in await jobs.log_of(child.id):
                    return child
            await asyncio.sleep(0.02)


def files(folder: Path) -> list[str]:
    place = folder / "outputs"
    return sorted(str(one.relative_to(place)) for one in place.rglob("*") if one.is_file())


async def nothing_left_but(folder: Path, *wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while files(folder) != list(wanted):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.05)


def assert_exact(folder: Path) -> None:
    made = read(folder / "outputs" / MADE)
    assert made.numbers == tuple(range(FRAMES))
    assert made.instants == pytest.approx([number / 25 for number in range(FRAMES)], abs=0.0011)
    assert phase_steps(made.sound)[5:-5].max() < 0.15


async def test_both_workers_encode_and_one_file_comes_out(
    jobs: Jobs, item: Item, worker: WorkerProcess, other: WorkerProcess, tmp_path: Path
) -> None:
    await jobs.connected(2)

    parent = await submitted(jobs, item)
    await jobs.first_children(parent)
    waiting = await jobs.seen(parent)
    (done,) = await jobs.reached([parent], COMPLETED)
    children = await jobs.children(parent)

    assert waiting.state in {JobState.JOB_STATE_PENDING, JobState.JOB_STATE_QUEUED, RUNNING}
    assert [attempt.outcome for attempt in done.attempts] == ["yielded", "completed"]
    assert {(child.type, child.state) for child in children} == {("reencode_chunk", COMPLETED)}
    assert {child.collection for child in children} == {"films"}
    assert len(children) == 6
    assert {child.worker_id.split(".")[0].rpartition("-gpu")[0] for child in children} == {"atlas", "boreas"}
    assert "6 chunks were done by 2 workers." in await jobs.log_of(parent)
    await nothing_left_but(tmp_path, MADE)
    assert_exact(tmp_path)


async def test_chunk_whose_worker_is_killed_is_done_again_alone(
    jobs: Jobs, item: Item, worker: WorkerProcess, other: WorkerProcess, tmp_path: Path
) -> None:
    await jobs.connected(2)
    parent = await submitted(jobs, item)
    struck = await running_child(jobs, parent)

    await (worker if struck.worker_id.startswith("atlas") else other).kill()
    await jobs.reached([parent], COMPLETED)
    children = {child.id: await jobs.seen(child.id) for child in await jobs.children(parent)}

    outcomes = {job_id: [one.outcome for one in job.attempts] for job_id, job in children.items()}
    assert outcomes.pop(struck.id) == ["expired", "completed"]
    assert list(outcomes.values()) == [["completed"]] * 5
    await nothing_left_but(tmp_path, MADE)
    assert_exact(tmp_path)


async def test_cancelled_parent_takes_its_chunks_with_it(
    jobs: Jobs, item: Item, worker: WorkerProcess, other: WorkerProcess, tmp_path: Path
) -> None:
    await jobs.connected(2)
    parent = await submitted(jobs, item)
    await running_child(jobs, parent)
    assert files(tmp_path)

    await jobs.cancel(parent)

    children = [child.id for child in await jobs.children(parent)]
    await jobs.reached([parent], JobState.JOB_STATE_CANCELLED)
    states = {(await jobs.seen(child)).state for child in children}
    assert states <= {JobState.JOB_STATE_CANCELLED, COMPLETED}
    assert JobState.JOB_STATE_CANCELLED in states
    await nothing_left_but(tmp_path)


async def test_chunks_are_made_once_through_the_death_of_the_scheduler(
    scheduler: RealScheduler,
    jobs: Jobs,
    item: Item,
    worker: WorkerProcess,
    other: WorkerProcess,
    tmp_path: Path,
) -> None:
    await jobs.connected(2)
    parent = await submitted(jobs, item)
    await running_child(jobs, parent)

    await scheduler.kill()
    await scheduler.start()
    await jobs.reached([parent], COMPLETED)
    children = [await jobs.seen(child.id) for child in await jobs.children(parent)]

    assert [[one.outcome for one in child.attempts] for child in children] == [["completed"]] * 6
    await nothing_left_but(tmp_path, MADE)
    assert_exact(tmp_path)


async def test_half_done_re_encode_has_the_rest_done_with_help(
    scheduler: RealScheduler, jobs: Jobs, item: Item, worker: WorkerProcess, tmp_path: Path
) -> None:
    parent = await submitted(jobs, item)
    await jobs.logged(parent, "trim=start_pts=4000:")
    await jobs.pause(parent)
    await jobs.reached([parent], JobState.JOB_STATE_PAUSED)
    done = len(files(tmp_path))
    other = gpu_worker(scheduler, tmp_path, "boreas")
    await other.start()
    try:
        await jobs.connected(2)
        await jobs.resume(parent)
        await jobs.reached([parent], COMPLETED)
    finally:
        await other.kill()

    children = await jobs.children(parent)
    assert done >= 3
    assert sorted(json.loads(child.params_json)["number"] for child in children) == list(range(done, 6))
    await nothing_left_but(tmp_path, MADE)
    assert_exact(tmp_path)


async def test_worker_that_cannot_write_to_the_target_gets_no_chunk(
    scheduler: RealScheduler, jobs: Jobs, item: Item, worker: WorkerProcess, tmp_path: Path
) -> None:
    others = [
        gpu_worker(scheduler, tmp_path, "boreas", roots(tmp_path, read_only=True)),
        gpu_worker(scheduler, tmp_path, "crete", roots(tmp_path, without="library")),
    ]
    for one in others:
        await one.start()
    try:
        await jobs.connected(3)
        parent = await submitted(jobs, item, preset="ultrafast", distribute="always")
        await jobs.reached([parent], COMPLETED)
    finally:
        for one in others:
            await one.kill()

    children = await jobs.children(parent)
    assert len(children) == 6
    assert {child.worker_id.rpartition("-gpu")[0] for child in children} == {"atlas"}
    assert_exact(tmp_path)


async def test_free_workers_are_counted_that_take_such_jobs_and_reach_the_roots(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with (
        running_worker(scheduler.port, tmp_path, slots=1),
        running_worker(scheduler.port, elsewhere, slots=1),
        open_channel(scheduler.address) as channel,
    ):
        await jobs.known("noop", "patient")
        mine, other = await jobs.connected(2)
        queue = Remote(channel, mine, 5.0).queue(Lease(job_id="job", token=1, attempt=1))

        assert await queue.helpers("noop", []) == await queue.helpers("noop", ["made"]) == 1
        await jobs.drain(other, grace_s=60)
        assert await queue.helpers("noop", []) == 0
        await jobs.undrain(other)
        assert await queue.helpers("noop", ["nowhere"]) == 0
        assert await queue.helpers("other", []) == 0
        busy = await jobs.submitted("patient", "patient")
        await jobs.reached(busy, JobState.JOB_STATE_RUNNING)
        assert await queue.helpers("noop", []) == 0
