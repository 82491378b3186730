"""What the library says of a file that could not get the name that was asked for."""

import json

import asyncpg
import pytest
from callsheet_scheduler.domain.effects import Output
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.domain.library import ItemId, LibraryChanges
from callsheet_scheduler.store.library_reads import LibraryStore
from callsheet_scheduler.store.queue import point_beside
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.ids import new_job_id
from tests.support.library_rows import NOW, apply_changes, photo, scanned, thumbnail

BESIDE = "playback/.film.mp4.0000000000000007.staged"
WANTED = "playback/film.mp4"


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


async def written(db_writer: asyncpg.Connection, source: ItemId, *sources: str) -> str:
    """Write what a re-encode of an item writes, and return its job."""
    job_id = new_job_id()
    extra = json.dumps({"sources": [source, *sources], "manifest": {"jobId": job_id}})
    made = photo(WANTED, root="outputs", identity="ad", extra=extra)
    points = thumbnail(source, kind="playback", root="outputs", path=WANTED)
    await apply_changes(db_writer, job_id, 7, LibraryChanges(items=(made,), derivatives=(points,)), NOW)
    return job_id


def unplaced(job_id: str) -> Output:
    return Output(job_id=JobId(job_id), token=Token(7), root="outputs", staged_path=BESIDE, path=WANTED)


async def test_rows_about_it_point_at_the_file_beside(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [source] = await scanned(db_writer, photo("film.mkv"))
    job_id = await written(db_writer, source, "no id", new_job_id())

    await point_beside(db_writer, [unplaced(job_id)])
    item, made = await store.get_item(source), await store.get_item_at("outputs", BESIDE)

    assert item is not None
    assert made is not None
    assert [one.facts.path for one in item.derivatives] == [BESIDE]
    assert made.facts.identity == "ad"
    assert await store.get_item_at("outputs", WANTED) is None


async def test_row_that_somebody_wrote_since_stays_about_what_lies_there(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [source] = await scanned(db_writer, photo("film.mkv"))
    job_id = await written(db_writer, source)
    await scanned(db_writer, photo(WANTED, root="outputs", identity="be"))

    await point_beside(db_writer, [unplaced(job_id)])
    there = await store.get_item_at("outputs", WANTED)

    assert there is not None
    assert there.facts.identity == "be"
    assert await store.get_item_at("outputs", BESIDE) is None
