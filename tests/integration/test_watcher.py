"""Files that come, change and go while a worker watches: the library follows by itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from callsheet.client import Client
from callsheet.v1.job_pb2 import Job
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet.v1.library_service_pb2 import Item, ItemState, ListItemsRequest
from tests.support.media import quadrants
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import real_scheduler
from tests.support.worker_processes import WorkerProcess

Known = dict[str, Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A library that a worker watches."""

    folder: Path
    client: Client

    async def items(self) -> Known:
        """Return the items by their path."""
        return {item.facts.path: item async for item in self.client.items(ListItemsRequest(root="library"))}

    async def until(self, holds: Callable[[Known], bool]) -> Known:
        """Wait until the library is as a test wants it, and return its items."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                known = await self.items()
                if holds(known):
                    return known
                await asyncio.sleep(0.05)

    async def scans(self) -> list[Job]:
        """Return the scans so far."""
        return [job async for job in self.client.jobs(ListJobsRequest(types=["scan"]))]


@pytest.fixture
async def watched(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[Watched]:
    folder, derivatives = tmp_path / "library", tmp_path / "derivatives"
    folder.mkdir()
    derivatives.mkdir()
    roots = {"library": {"path": str(folder)}, "derivatives": {"path": str(derivatives), "writable": True}}
    settings = {
        "CALLSHEET_ROOTS": json.dumps(roots),
        "CALLSHEET_WATCH": '["library"]',
        "CALLSHEET_WATCH_QUIET_S": "0.2",
    }
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler, Client(scheduler.address) as client:
        worker = WorkerProcess(scheduler.address, tmp_path, "atlas", settings)
        await worker.start()
        try:
            watched = Watched(folder=folder, client=client)
            async with asyncio.timeout(PATIENCE_S):
                while "first.png" not in await watched.items():  # it does not watch from the first instant
                    quadrants(32, 24).save(folder / "first.png")
                    await asyncio.sleep(0.3)
            yield watched
        finally:
            await worker.kill()


async def test_new_file_becomes_an_item_with_a_picture(watched: Watched) -> None:
    (watched.folder / "a" / "b").mkdir(parents=True)
    quadrants(64, 48).save(watched.folder / "a" / "b" / "new.png")
    await watched.until(lambda known: "a/b/new.png" in known and bool(known["a/b/new.png"].derivatives))


async def test_changed_moved_and_deleted_files_are_followed(watched: Watched) -> None:
    quadrants(80, 60).save(watched.folder / "first.png")
    await watched.until(lambda known: known["first.png"].facts.width == 80)
    quadrants(80, 60).save(watched.folder / "other.png")
    (watched.folder / "first.png").rename(watched.folder / "second.png")
    known = await watched.until(
        lambda known: "second.png" in known and known["first.png"].facts.state == ItemState.ITEM_STATE_MISSING
    )
    assert known["second.png"].facts.state == ItemState.ITEM_STATE_OK
    (watched.folder / "second.png").unlink()
    await watched.until(lambda known: known["second.png"].facts.state == ItemState.ITEM_STATE_MISSING)


async def test_many_new_files_of_a_folder_are_few_scans(watched: Watched) -> None:
    before = len(await watched.scans())
    quadrants(32, 24).save(watched.folder / "first.png")
    content = (watched.folder / "first.png").read_bytes()
    (watched.folder / "many").mkdir()
    for number in range(200):
        (watched.folder / "many" / f"{number}.png").write_bytes(content)
    await watched.until(lambda known: len(known) >= 201)
    assert len(await watched.scans()) - before < 30


async def test_hidden_unfinished_and_linked_files_cause_no_scan(watched: Watched, tmp_path: Path) -> None:
    before = {job.id for job in await watched.scans()}
    outside = tmp_path / "outside"
    outside.mkdir()
    (watched.folder / "link").symlink_to(outside)
    quadrants(32, 24).save(outside / "secret.png")
    (watched.folder / ".hidden.png").write_bytes(b"x")
    (watched.folder / "copy.mp4.partial").write_bytes(b"x")
    quadrants(32, 24).save(watched.folder / "last.png")
    await watched.until(lambda known: "last.png" in known)
    asked = [json.loads(job.params_json).get("path") for job in await watched.scans() if job.id not in before]
    assert set(asked) <= {"first.png", "last.png"}
