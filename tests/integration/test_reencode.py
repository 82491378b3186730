"""A re-encode through scheduler and workers: paused and resumed, its worker killed, cancelled."""

import asyncio
import json
from pathlib import Path

import grpc

from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import Item
from tests.support.encoding_site import roots
from tests.support.media import film
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.short_leases import item_at
from tests.support.videos import seen
from tests.support.worker_processes import WorkerProcess, worker_process

FRAMES = 12 * 25


async def scanned(scheduler: RealScheduler, channel: grpc.aio.Channel, folder: Path) -> Item:
    """Have a CPU worker scan a film that takes its time to encode, and return its item."""
    places = json.dumps(roots(folder))
    film(folder / "library/film.mkv", seconds=12, size="480x270", codec=("-c:v", "mpeg4", "-q:v", "3"))
    jobs = Jobs(channel)
    async with worker_process(scheduler.address, folder, "boreas", roots=places):
        await jobs.known("scan")
        ids = await jobs.submitted("scan")
        await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
    return await item_at(channel, "library", "film.mkv")


def files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


async def begun(jobs: Jobs, item: Item) -> str:
    """Submit a re-encode and wait until its second chunk is under way."""
    await jobs.known("reencode_streaming")
    params = json.dumps({"videoId": item.id, "preset": "medium", "outputPath": "playback/film.mp4"})
    (job_id,) = await jobs.submitted("reencode_streaming", params=params)
    await jobs.logged(job_id, "trim=start_pts=2000:")
    return job_id


async def test_paused_re_encode_goes_on_where_it_stopped(
    scheduler: RealScheduler, channel: grpc.aio.Channel, encoder: WorkerProcess, tmp_path: Path
) -> None:
    item, jobs = await scanned(scheduler, channel, tmp_path), Jobs(channel)

    job_id = await begun(jobs, item)
    await jobs.pause(job_id)
    await jobs.reached([job_id], JobState.JOB_STATE_PAUSED)
    chunks = files(tmp_path / "outputs")
    before = (await jobs.log_of(job_id)).count("FFmpeg command")
    await jobs.resume(job_id)
    (done,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
    log = await jobs.log_of(job_id)
    made = await item_at(channel, "outputs", "playback/film.mp4")
    source = await item_at(channel, "library", "film.mkv")

    assert 2 <= before < 6
    assert len(chunks) == before
    assert f"6 chunks, of which {before} are done." in log
    assert log.count("FFmpeg command") == 6 + 1
    assert (done.software, json.loads(done.result_json)["encoder"]) == (True, "libx264")
    assert json.loads(made.facts.extra_json)["sources"] == [item.id]
    assert [one.job_id for one in source.derivatives if one.facts.kind == "playback"] == [job_id]
    assert len(seen(tmp_path / "outputs/playback/film.mp4").instants) == FRAMES


async def test_re_encode_outlives_its_worker_and_leaves_one_file(
    scheduler: RealScheduler, channel: grpc.aio.Channel, encoder: WorkerProcess, tmp_path: Path
) -> None:
    item, jobs = await scanned(scheduler, channel, tmp_path), Jobs(channel)

    job_id = await begun(jobs, item)
    await encoder.kill()
    await encoder.start()
    await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
    log = await jobs.log_of(job_id)
    await encoder.left()

    assert "6 chunks, of which 1 are done." in log
    assert files(tmp_path / "outputs") == ["playback/film.mp4"]
    assert len(seen(tmp_path / "outputs/playback/film.mp4").instants) == FRAMES


async def test_chunks_of_a_cancelled_re_encode_are_swept(
    scheduler: RealScheduler, channel: grpc.aio.Channel, encoder: WorkerProcess, tmp_path: Path
) -> None:
    item, jobs = await scanned(scheduler, channel, tmp_path), Jobs(channel)

    job_id = await begun(jobs, item)
    await jobs.cancel(job_id)
    await jobs.reached([job_id], JobState.JOB_STATE_CANCELLED)
    async with asyncio.timeout(PATIENCE_S):
        while files(tmp_path / "outputs"):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.05)
