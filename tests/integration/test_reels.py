"""Digests, clips and compilations through scheduler and workers: what is kept, and a killed worker."""

import json
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest

from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import Item
from tests.support.encoding_site import roots
from tests.support.programmes import MOVING, STILL, Scene, programme
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.short_leases import item_at
from tests.support.videos import seen
from tests.support.worker_processes import WorkerProcess, worker_process


async def scanned(scheduler: RealScheduler, channel: grpc.aio.Channel, folder: Path) -> Item:
    """Have a CPU worker scan a video with several scenes, and return its item."""
    places = json.dumps(roots(folder))
    scenes = (Scene(seconds=6, picture=one, volume=0.2) for one in (MOVING, "black", STILL, MOVING))
    programme(folder / "library/film.mp4", *scenes, size="480x270")
    jobs = Jobs(channel)
    async with worker_process(scheduler.address, folder, "boreas", roots=places):
        await jobs.known("scan")
        await jobs.reached(await jobs.submitted("scan"), JobState.JOB_STATE_COMPLETED)
    return await item_at(channel, "library", "film.mp4")


def files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


async def test_digest_its_clips_and_what_they_are_joined_to_are_items_of_the_library(
    scheduler: RealScheduler, channel: grpc.aio.Channel, encoder: WorkerProcess, tmp_path: Path
) -> None:
    item, jobs = await scanned(scheduler, channel, tmp_path), Jobs(channel)
    await jobs.known("digest_generate", "clip_generate", "compile_mega")

    async def done(job_type: str, params: Mapping[str, object]) -> None:
        ids = await jobs.submitted(job_type, params=json.dumps(params))
        await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    wish = {"videoId": item.id, "targetLength": 8, "outputPath": "digests/film.mp4"}
    await done("digest_generate", wish)
    digest = await item_at(channel, "outputs", "digests/film.mp4")
    await done("clip_generate", {"videoId": digest.id, "exact": True, "outputPath": "clips/film.mp4"})
    parts = json.loads(digest.facts.extra_json)["parts"]
    names = [f"clips/film-{number}.mp4" for number in range(1, len(parts) + 1)]
    clips = [await item_at(channel, "outputs", name) for name in names]
    ids = [one.id for one in clips]
    await done("compile_mega", {"videoIds": ids, "outputPath": "compilations/again.mp4"})
    again = await item_at(channel, "outputs", "compilations/again.mp4")

    assert sum(one["duration"] for one in parts) == pytest.approx(8)
    assert all(one["start"] + one["duration"] <= 7 or one["start"] >= 11 for one in parts)
    assert len(seen(tmp_path / "outputs/digests/film.mp4").instants) == 200
    assert [len(seen(tmp_path / "outputs" / name).instants) for name in names] == [
        round(one["duration"] * 25) for one in parts
    ]
    assert len(seen(tmp_path / "outputs/compilations/again.mp4").instants) == 240
    assert json.loads(again.facts.extra_json)["sources"] == ids
    assert files(tmp_path / "outputs") == sorted(["digests/film.mp4", "compilations/again.mp4", *names])


async def test_highlights_outlive_their_worker_and_leave_one_file(
    scheduler: RealScheduler, channel: grpc.aio.Channel, encoder: WorkerProcess, tmp_path: Path
) -> None:
    item, jobs = await scanned(scheduler, channel, tmp_path), Jobs(channel)
    await jobs.known("highlight_generate")
    wish = {"videoId": item.id, "count": 3, "clipLength": 3, "outputPath": "best.mp4"}

    (job_id,) = await jobs.submitted("highlight_generate", params=json.dumps(wish))
    await jobs.logged(job_id, "FFmpeg command")
    await encoder.kill()
    await encoder.start()
    (done,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
    log = await jobs.log_of(job_id)
    await encoder.left()

    assert "1 of 1 parts were measured before." in log
    assert files(tmp_path / "outputs") == ["best.mp4"]
    assert len(seen(tmp_path / "outputs/best.mp4").instants) == 225
    assert len(json.loads(done.result_json)["parts"]) == 3
