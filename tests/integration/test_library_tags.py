"""Tags in the tables: whose they are, what replaces them, and which items they find."""

import asyncpg
import pytest
from callsheet_scheduler.domain.library import ItemId, LibraryChanges
from callsheet_scheduler.domain.tags import TagSet
from callsheet_scheduler.store.library_reads import ItemFilter, LibraryStore
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.ids import new_job_id
from tests.support.library_rows import NOW, apply_changes, photo, scanned


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


async def tag(
    connection: asyncpg.Connection,
    item_id: str,
    *names: str,
    source: str = "metadata",
    identity: str = "aa",
    computed_on: str = "",
) -> str:
    """Write what a source says of an item, the first the surest, and return the job that did."""
    scored = tuple((name, 1.0 - place / 10) for place, name in enumerate(names))
    found = TagSet(
        item_id=item_id, source_identity=identity, source=source, computed_on=computed_on, tags=scored
    )
    job_id = new_job_id()
    await apply_changes(connection, job_id, 1, LibraryChanges(tags=(found,)), NOW)
    return job_id


async def tags(store: LibraryStore, item_id: ItemId) -> list[tuple[str, str]]:
    item = await store.get_item(item_id)
    assert item is not None
    return [(one.source, one.name) for one in item.tags]


async def found(store: LibraryStore, *names: str) -> list[str]:
    page = await store.list_items(ItemFilter(tags=names), page_size=10)
    assert page.total == len(page.items)
    return [item.facts.path for item in page.items]


async def test_tags_are_read_back_by_source_the_best_first(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    await tag(db_writer, item_id, "video", "clip")
    job_id = await tag(db_writer, item_id, "a cat", "a bat", source="clip@0123", computed_on="cpu")

    assert await tags(store, item_id) == [
        ("clip@0123", "a cat"), ("clip@0123", "a bat"), ("metadata", "video"), ("metadata", "clip"),
    ]  # fmt: skip
    item = await store.get_item(item_id)
    assert item is not None
    first = item.tags[0]
    assert (first.score, first.computed_on, first.job_id, first.created_at) == (1.0, "cpu", job_id, NOW)


async def test_source_replaces_what_it_said_and_another_revision_stays(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    for source, names in (
        ("clip@01", ("dog",)), ("clip@02", ("cat",)), ("clip@02", ("cow", "hen")), ("heuristic", ("dark",)),
    ):  # fmt: skip
        await tag(db_writer, item_id, *names, source=source)

    assert await tags(store, item_id) == [
        ("clip@01", "dog"), ("clip@02", "cow"), ("clip@02", "hen"), ("heuristic", "dark"),
    ]  # fmt: skip
    await tag(db_writer, item_id, source="clip@02")
    assert await tags(store, item_id) == [("clip@01", "dog"), ("heuristic", "dark")]


async def test_tags_of_content_that_has_passed_are_neither_shown_nor_found_nor_written(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    await tag(db_writer, item_id, "old")
    await scanned(db_writer, photo("a", identity="bb"))
    assert (await tags(store, item_id), await found(store, "old")) == ([], [])

    await tag(db_writer, item_id, "new", identity="bb")
    await tag(db_writer, item_id, "late", identity="aa")

    assert await tags(store, item_id) == [("metadata", "new")]
    assert await db_writer.fetchval("SELECT count(*) FROM library_tag") == 1


async def test_tags_of_content_that_has_passed_go_when_the_item_is_tagged_again(
    db_writer: asyncpg.Connection,
) -> None:
    [item_id, other] = await scanned(db_writer, photo("a"), photo("b"))
    for one in (item_id, other):
        await tag(db_writer, one, "dog", source="clip@01")
        await tag(db_writer, one, "dark", source="heuristic")
    await scanned(db_writer, photo("a", identity="bb"))
    await tag(db_writer, item_id, "passed", source="heuristic", identity="aa")

    await tag(db_writer, item_id, "bright", source="heuristic", identity="bb")

    rows = await db_writer.fetch("SELECT item_id::text, tag FROM library_tag ORDER BY tag")
    assert [tuple(row) for row in rows] == [(item_id, "bright"), (other, "dark"), (other, "dog")]


async def test_items_are_found_that_have_all_of_the_tags_whoever_says_so(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    first, second, _ = await scanned(db_writer, photo("a"), photo("b"), photo("c"))
    await tag(db_writer, first, "landscape")
    await tag(db_writer, first, "a cat", source="clip@01")
    await tag(db_writer, second, "landscape")

    assert await found(store, "landscape") == ["a", "b"]
    assert await found(store, "landscape", "a cat") == ["a"]
    assert await found(store, "A cat") == []


async def test_tags_of_an_item_that_is_gone_are_passed_over(db_writer: asyncpg.Connection) -> None:
    await tag(db_writer, new_job_id(), "lost")
    assert await db_writer.fetchval("SELECT count(*) FROM library_tag") == 0
