"""Shots and grids through scheduler and workers."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import GetItemRequest, Item
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from tests.support.media import ffmpeg
from tests.support.processes import until
from tests.support.queue import CALL_DEADLINE_S, Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.videos import seen
from tests.support.worker_processes import WorkerProcess, worker_process


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler:
        yield scheduler


def roots(folder: Path) -> str:
    for name in ("library", "outputs", "derivatives"):
        (folder / name).mkdir(exist_ok=True)
    return json.dumps(
        {
            "library": {"path": str(folder / "library")},
            "outputs": {"path": str(folder / "outputs"), "writable": True},
            "derivatives": {"path": str(folder / "derivatives"), "writable": True},
        }
    )


def two_shots(path: Path) -> None:
    one, other = "testsrc2=size=320x180:rate=25:duration=2", "mandelbrot=size=320x180:rate=25"
    graph = "[0:v]format=yuv420p[a];[1:v]trim=duration=2,format=yuv420p[b];[a][b]concat=n=2:v=1:a=0[v]"
    ffmpeg(
        "-f", "lavfi", "-i", one, "-f", "lavfi", "-i", other, "-filter_complex", graph, "-map", "[v]",
        "-c:v", "libx264", "-preset", "ultrafast", str(path),
    )  # fmt: skip


@asynccontextmanager
async def site(scheduler: RealScheduler, folder: Path) -> AsyncGenerator[grpc.aio.Channel]:
    """Run a worker of each kind, let them scan a video of two shots, and give the channel."""
    places = roots(folder)
    two_shots(folder / "library/cards.mp4")
    settings = {"CALLSHEET_ROOTS": places, "CALLSHEET_SOFTWARE_GPU": "true"}
    worker = WorkerProcess(scheduler.address, folder, "atlas", settings, kind="gpu")
    async with (
        open_channel(scheduler.address) as channel,
        worker_process(scheduler.address, folder, "boreas", roots=places),
    ):
        jobs = Jobs(channel)
        await worker.start()
        try:
            await jobs.known("scan", "scene_extract", "compile_quad")
            await jobs.reached(await jobs.submitted("scan"), JobState.JOB_STATE_COMPLETED)
            yield channel
        finally:
            await worker.kill()


async def test_shots_are_listed_and_the_list_is_the_items(scheduler: RealScheduler, tmp_path: Path) -> None:
    async with site(scheduler, tmp_path) as channel:
        jobs = Jobs(channel)
        ids = await jobs.submitted("scene_extract", params=json.dumps({"inputPath": "cards.mp4"}))
        (done,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
        log = await jobs.log_of(done.id)
        item = await item_at(channel, "library", "cards.mp4")

    [row] = [one.facts for one in item.derivatives if one.facts.kind == "scenes"]
    listed = json.loads((tmp_path / "derivatives" / row.path).read_bytes())
    assert [one["startFrame"] for one in listed["scenes"]] == [0, 50]
    assert json.loads(done.result_json)["scenes"] == listed["scenes"]
    assert "2 shots in 100 frames, 4.0 s." in log


async def test_grid_lies_where_it_was_asked_for_and_is_an_item(
    scheduler: RealScheduler, tmp_path: Path
) -> None:
    async with site(scheduler, tmp_path) as channel:
        jobs = Jobs(channel)
        params = json.dumps({"count": 1, "clipLength": 1, "outputPath": "grids/one.mp4"})
        ids = await jobs.submitted("compile_quad", params=params)
        (done,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
        source = await item_at(channel, "library", "cards.mp4")
        made = await item_at(channel, "outputs", "grids/one.mp4")
        await until((tmp_path / "outputs/grids/one.mp4").exists)

    assert json.loads(made.facts.extra_json)["sources"] == [source.id]
    assert json.loads(done.result_json)["tiles"] == [source.id, None, None, None]
    assert [one.job_id for one in source.derivatives if one.facts.kind == "compilation"] == [done.id]
    assert len(seen(tmp_path / "outputs/grids/one.mp4").instants) == 30


async def item_at(channel: grpc.aio.Channel, root: str, path: str) -> Item:
    request = GetItemRequest(root=root, path=path)
    return (await LibraryServiceStub(channel).GetItem(request, timeout=CALL_DEADLINE_S)).item
