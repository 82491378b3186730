"""A worker is killed behind every step of a move: the next life ends it, and nothing is lost or doubled."""

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from callsheet.service.settings import BucketSettings, RootSettings
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import Item, ItemState, ListItemsRequest
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.scratch import Scratch
from tests.support import mortal_worker
from tests.support.media import video
from tests.support.objects import Bucket, Objects
from tests.support.patience import PATIENCE_S
from tests.support.queue import CALL_DEADLINE_S, Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.worker_processes import WorkerProcess

ELSEWHERE = Path("/dev/shm")  # noqa: S108 -- another file system than that of temporary files


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """A folder in another file system."""
    if not os.access(ELSEWHERE, os.W_OK) or ELSEWHERE.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=ELSEWHERE, prefix="callsheet-test-") as folder:
        yield Path(folder)


class Site:
    """Two roots, a worker that can die in a move, and the queue."""

    def __init__(
        self,
        scheduler: RealScheduler,
        channel: grpc.aio.Channel,
        folder: Path,
        far: RootSettings | BucketSettings,
    ) -> None:
        self.library, self.far, self.order = folder / "library", far, folder / "dies-at"
        self.jobs, self._library = Jobs(channel), LibraryServiceStub(channel)
        for one in ("inbox", "library"):
            (self.library / one).mkdir(parents=True)
        places = {
            "library": {"path": str(self.library), "writable": True},
            "archive": far.model_dump(mode="json"),
            "derivatives": {"path": str(folder), "writable": True},
        }
        self._far_files = Roots({"archive": far}, Scratch(folder / "scratch", floor_mib=1)).store("archive")
        settings = {
            "CALLSHEET_ROOTS": json.dumps(places),
            "CALLSHEET_SWEEP_INTERVAL_S": "1",
            mortal_worker.VARIABLE: str(self.order),
        }
        self.worker = WorkerProcess(
            scheduler.address, folder, "atlas", settings, module=mortal_worker.__name__
        )

    async def scan(self) -> None:
        ids = [
            (await self.jobs.submitted("scan", params=json.dumps({"root": root, "pictures": False})))[0]
            for root in ("library", "archive")
        ]
        await self.jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    async def items(self) -> list[Item]:
        answer = await self._library.ListItems(ListItemsRequest(), timeout=CALL_DEADLINE_S)
        return list(answer.items)

    def files(self) -> list[str]:
        near = (one.relative_to(self.library) for one in self.library.rglob("*") if one.is_file())
        visible = (one.path for one in self._far_files.walk(""))
        return sorted(
            {f"library/{path}" for path in near}
            | {f"far/{path}" for path in (*visible, *self._far_files.hidden(lambda _: True))}
        )

    async def moved_across_a_death(self, step: str, **wishes: object) -> dict[str, object]:
        """Move the one item, have the worker killed behind *step*, and start it again while scans wait."""
        [item] = await self.items()
        self.order.write_text(step, encoding="ascii")
        params = json.dumps({"videoId": item.id, **wishes})
        (job_id,) = await self.jobs.submitted("move_to_library", params=params)
        assert self.worker.process is not None
        async with asyncio.timeout(PATIENCE_S):
            await self.worker.process.wait()
        assert not self.order.exists()
        await self.worker.start()
        await self.scan()
        (done,) = await self.jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
        await self.scan()
        found: dict[str, object] = json.loads(done.result_json)
        return found


def far_root(request: pytest.FixtureRequest, elsewhere: str) -> RootSettings | BucketSettings:
    """Return a root that no file can be renamed to."""
    if elsewhere == "a bucket":
        objects: Objects = request.getfixturevalue("objects")
        bucket: Bucket = request.getfixturevalue("bucket")
        return objects.settings(bucket.name, "far")
    return RootSettings(path=request.getfixturevalue("archive"), writable=True)


async def settled(site: Site, wanted: list[str]) -> None:
    """Wait until only *wanted* lies in the roots: hidden leftovers are swept."""
    async with asyncio.timeout(PATIENCE_S):
        while site.files() != wanted:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.05)


async def test_renaming_outlives_a_death_behind_every_step(
    scheduler: RealScheduler, channel: grpc.aio.Channel, tmp_path: Path, archive: Path
) -> None:
    site = Site(scheduler, channel, tmp_path, RootSettings(path=archive, writable=True))
    video(site.library / "inbox/a.mp4", seconds=1)
    content = (site.library / "inbox/a.mp4").read_bytes()
    await site.worker.start()
    try:
        await site.jobs.known("scan", "move_to_library")
        await site.scan()
        [before] = await site.items()
        for number, step in enumerate(("checked", "renamed", "recorded")):
            await site.moved_across_a_death(step, directoryType=f"videos{number}")
            [item] = await site.items()

            assert (item.id, item.facts.path) == (before.id, f"library/videos{number}/a.mp4")
            assert item.facts.state == ItemState.ITEM_STATE_OK
            assert site.files() == [f"library/library/videos{number}/a.mp4"]
        assert (site.library / site.files()[0].removeprefix("library/")).read_bytes() == content
    finally:
        await site.worker.kill()


@pytest.mark.parametrize("elsewhere", ["another file system", "a bucket"])
async def test_move_to_another_root_outlives_a_death_behind_every_step(
    scheduler: RealScheduler,
    channel: grpc.aio.Channel,
    tmp_path: Path,
    elsewhere: str,
    request: pytest.FixtureRequest,
) -> None:
    site = Site(scheduler, channel, tmp_path, far_root(request, elsewhere))
    video(site.library / "inbox/a.mp4", seconds=1)
    content = (site.library / "inbox/a.mp4").read_bytes()
    mtime_ns = (site.library / "inbox/a.mp4").stat().st_mtime_ns
    await site.worker.start()
    try:
        await site.jobs.known("scan", "move_to_library")
        await site.scan()
        [before] = await site.items()
        for number, step in enumerate(("checked", "copied", "named", "removed", "recorded", "cleaned")):
            root = "library" if number % 2 else "archive"
            await site.moved_across_a_death(step, outputRoot=root, outputPath=f"films/{number}.mp4")
            [item] = await site.items()
            shown = "library" if number % 2 else "far"

            assert (item.id, item.facts.root) == (before.id, root)
            assert item.facts.path == f"films/{number}.mp4"
            assert item.facts.mtime_ns == mtime_ns or elsewhere == "a bucket"
            assert item.facts.state == ItemState.ITEM_STATE_OK
            await settled(site, [f"{shown}/films/{number}.mp4"])
        assert (site.library / site.files()[0].removeprefix("library/")).read_bytes() == content
    finally:
        await site.worker.kill()
