"""Measures how long a video takes that two workers of one core each encode, beside one of them alone.

A database, a scheduler and real workers, each held to a core of its own. The rounds take turns, since the
machine may have other things to do: what counts is the ratio.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from bench.rig import Rig, rig
from callsheet.channel import open_channel
from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import GetJobRequest, ListChildrenRequest, SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2 import GetItemRequest
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from tests.support.numbered import numbered, read
from tests.support.queue import Jobs
from tests.support.worker_processes import WorkerProcess

LOOK_S: Final = 0.1
RATE: Final = 25
CODEC: Final = ("-c:v", "mpeg4", "-q:v", "2", "-g", "50", "-c:a", "flac")
NAMES: Final = ("atlas", "boreas")
FINAL: Final = {JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}


def main() -> None:
    """Print seconds and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=120, help="of the video")
    parser.add_argument("--chunk", type=int, default=10, help="seconds of a chunk")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--keep", type=Path, help="a folder for what the last round made")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_all(Path(scratch), asked))


async def _all(folder: Path, asked: argparse.Namespace) -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < len(NAMES):
        print("two cores are needed, so that each worker has one")
        return
    for name in ("library", "outputs", "derivatives"):
        (folder / name).mkdir()
    numbered(folder / "library/film.mkv", frames=asked.seconds * RATE, codec=CODEC)
    alone: list[float] = []
    together: list[float] = []
    async with rig(folder) as at:
        item = await _scanned(at, folder)
        for number in range(asked.rounds):
            for count, took in ((1, alone), (2, together)):
                path = f"playback/{number}-{count}.mp4"
                params = {"videoId": item, "preset": asked.preset, "crf": 20 + number, "outputPath": path}
                async with _workers(at, folder, cores[:count], asked.chunk):
                    job, children = await _done(at, params | {"targetBitrate": 8000})
                assert job.state == JobState.JOB_STATE_COMPLETED, job.error
                took.append((job.finished_at.ToNanoseconds() - job.created_at.ToNanoseconds()) / 1e9)
                said = sorted({child.worker_id for child in children}) or [job.worker_id]
                print(f"{took[-1]:.1f} s by {', '.join(said)}; {len(children)} jobs for chunks")
                made = await asyncio.to_thread(read, folder / "outputs" / path)
                assert made.numbers == tuple(range(asked.seconds * RATE)), "frames are not in their order"
    times = statistics.median(one / two for one, two in zip(alone, together, strict=True))
    print(
        f"{asked.seconds} s of video: one worker {statistics.median(alone):.1f} s, two workers "
        f"{statistics.median(together):.1f} s: {times:.2f} times as fast"
    )
    if asked.keep:
        shutil.copytree(folder / "outputs", asked.keep, dirs_exist_ok=True)


async def _scanned(at: Rig, folder: Path) -> str:
    worker = WorkerProcess(at.address, folder, "scanner", _settings(folder, chunk_s=10))
    await worker.start()
    try:
        async with open_channel(at.address) as channel:
            jobs = Jobs(channel)
            await jobs.known("scan")
            await jobs.reached(await jobs.submitted("scan"), JobState.JOB_STATE_COMPLETED)
            request = GetItemRequest(root="library", path="film.mkv")
            return (await LibraryServiceStub(channel).GetItem(request)).item.id
    finally:
        await worker.kill()


@asynccontextmanager
async def _workers(at: Rig, folder: Path, cores: Sequence[int], chunk_s: int) -> AsyncGenerator[None]:
    """Run a worker on each of the cores."""
    everywhere = os.sched_getaffinity(0)
    async with AsyncExitStack() as stack:
        for name, core in zip(NAMES, cores, strict=False):
            worker = WorkerProcess(at.address, folder, name, _settings(folder, chunk_s), kind="gpu")
            os.sched_setaffinity(0, {core})  # the worker inherits it
            try:
                await worker.start()
            finally:
                os.sched_setaffinity(0, everywhere)
            stack.push_async_callback(worker.kill)
        channel = await stack.enter_async_context(open_channel(at.address))
        await Jobs(channel).connected(len(cores))
        yield


def _settings(folder: Path, chunk_s: int) -> dict[str, str]:
    roots = {
        "library": {"path": str(folder / "library")},
        "outputs": {"path": str(folder / "outputs"), "writable": True},
        "derivatives": {"path": str(folder / "derivatives"), "writable": True},
    }
    return {
        "CALLSHEET_ROOTS": json.dumps(roots),
        "CALLSHEET_SOFTWARE_GPU": "true",
        "CALLSHEET_SLOTS": "1",
        "CALLSHEET_CHUNK_S": str(chunk_s),
    }


async def _done(at: Rig, params: Mapping[str, object]) -> tuple[Job, Sequence[Job]]:
    """Have a re-encode done, urgently, so that it does not yield the processor to others."""
    async with open_channel(at.address) as channel:
        stub = JobServiceStub(channel)
        new = NewJob(
            id=new_job_id(),
            type="reencode_streaming",
            params_json=json.dumps(dict(params)),
            interactive=True,
        )
        await stub.SubmitJobs(SubmitJobsRequest(jobs=[new]))
        while True:
            job = (await stub.GetJob(GetJobRequest(id=new.id))).job
            if job.state in FINAL:
                return job, list((await stub.ListChildren(ListChildrenRequest(id=new.id))).jobs)
            await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    main()
