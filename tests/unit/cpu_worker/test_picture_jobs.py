"""Jobs for pictures while a scan goes on."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from callsheet_cpu_worker.picture_jobs import (
    BATCH,
    BATCH_LIMIT,
    JOBS_WANTED,
    PictureJobs,
    batch_size,
    waiting_items,
)
from callsheet_cpu_worker.processors.scan import Scan
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from callsheet.errors import TransientError
from callsheet.params import ScanParams
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import ItemFacts
from tests.support.attempts import Desk, Shelf, Tray, desk
from tests.support.media import quadrants


def many_pictures(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    quadrants(32, 24).save(folder / "0.png")
    content = (folder / "0.png").read_bytes()
    for number in range(1, count):
        (folder / f"{number}.png").write_bytes(content)


async def scan(at: Desk) -> None:
    at.library.take(await Scan().process(ScanParams(), at.context()))


@given(st.integers(0, 2_000_000))
def test_jobs_are_as_few_as_their_size_allows(items: int) -> None:
    size = batch_size(items)
    assert BATCH <= size <= BATCH_LIMIT
    assert items <= size * JOBS_WANTED or size == BATCH_LIMIT


async def test_no_item_is_forgotten_and_there_is_no_ceiling(tmp_path: Path) -> None:
    ids = [str(uuid.uuid4()) for _ in range(16_777)]
    async with desk(tmp_path, size=0) as at:
        pictures = PictureJobs(at.context(), batch=batch_size(len(ids)))
        for number, one in enumerate(ids):
            pictures.want(one)
            if number % 1_000 == 0:
                await pictures.submit()
        await pictures.submit(rest=True)
        assert pictures.jobs == len(at.queue.submitted)
        assert all(len(json.loads(job.params_json)["itemIds"]) <= 25 for job in at.queue.submitted)
        assert at.queue.items() == ids


async def test_item_that_a_job_waits_for_is_left_to_it_unless_it_changed(tmp_path: Path) -> None:
    first, second, third = (str(uuid.uuid4()) for _ in range(3))
    async with desk(tmp_path, size=0) as at:
        params = json.dumps({"itemIds": [first, second]})
        await at.queue.submit([NewJob(type="derivatives_generate", params_json=params), NewJob(type="scan")])
        waiting = await waiting_items(at.context())
        assert waiting == {first, second}
        at.queue.submitted.clear()
        pictures = PictureJobs(at.context(), waiting)
        pictures.want(first)
        pictures.want(second, changed=True)
        pictures.want(third)
        await pictures.submit(rest=True)
        assert (at.queue.items(), pictures.left_to_others) == ([second, third], 1)


@dataclass(slots=True)
class Halting(Tray):
    """A queue that the test hears of, and that stops the scan there until it may go on."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def submit(self, jobs: Sequence[NewJob]) -> None:
        self.submitted += jobs
        self.came.set()
        await self.go_on.wait()


async def test_jobs_come_while_the_scan_still_looks_at_files(tmp_path: Path) -> None:
    many_pictures(tmp_path / "library", 1_100)
    async with desk(tmp_path, size=2) as at:
        at.queue = tray = Halting()
        scanning = asyncio.create_task(scan(at))
        await asyncio.wait_for(tray.came.wait(), 60)
        assert not scanning.done()
        assert at.diary.percents[-1] < 100 or len(at.library.rows) < 1_100
        tray.go_on.set()
        await scanning
        assert sorted(at.queue.items()) == sorted(at.library.rows)


@dataclass(slots=True)
class Failing(Shelf):
    """A library that stops answering when it has some rows."""

    @override
    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        if sum(self.writes) >= 100:
            raise TransientError("no more")
        return await Shelf.upsert(self, items, missing_ids=missing_ids)


async def test_second_attempt_submits_only_what_the_first_left(tmp_path: Path) -> None:
    many_pictures(tmp_path / "library", 1_300)
    async with desk(tmp_path, size=2) as at:
        at.library = Failing()
        with pytest.raises(TransientError):
            await scan(at)
        written, submitted = len(at.library.rows), len(at.queue.submitted)
        assert 0 < written < 1_300
        assert submitted > 0
        rows = at.library.rows
        at.library = Shelf(rows=rows)
        await scan(at)
        asked = at.queue.items()
        assert len(asked) == len(set(asked)) == 1_300
