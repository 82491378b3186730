"""What readers find in the library."""

import asyncpg
import pytest
from callsheet_scheduler.domain.library import (
    ItemId,
    ItemState,
    MediaKind,
)
from callsheet_scheduler.store.library_reads import ItemFilter, LibraryStore
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.errors import InvalidError, UnavailableError
from callsheet.ids import new_job_id
from tests.support.library_rows import derive, photo, scanned, thumbnail


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


async def listed(store: LibraryStore, wanted: ItemFilter) -> list[str]:
    page = await store.list_items(wanted, page_size=100)
    assert (page.total, page.total_is_exact, page.next_page_token) == (len(page.items), True, "")
    return [item.facts.path for item in page.items]


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        (ItemFilter(), ["a!b", "a/B", "a/b/c", "a/É_%.jpg", "a0", "ab", "b/a/x", "z"]),
        (ItemFilter(root="library"), ["a!b", "a/B", "a/b/c", "a/É_%.jpg", "a0", "ab", "b/a/x"]),
        (ItemFilter(root="other"), ["z"]),
        (ItemFilter(folder="a"), ["a/B", "a/b/c", "a/É_%.jpg"]),
        (ItemFilter(folder="a/b/c"), ["a/b/c"]),
        (ItemFilter(folder="a%"), []),
        (ItemFilter(kinds=(MediaKind.VIDEO, MediaKind.AUDIO)), ["ab"]),
        (ItemFilter(states=(ItemState.BROKEN,)), ["a0"]),
        (ItemFilter(query="é_%.J"), ["a/É_%.jpg"]),
        (ItemFilter(query="b"), ["a!b", "a/B", "a/b/c", "ab", "b/a/x"]),
        (ItemFilter(query="."), ["a/É_%.jpg"]),
        (ItemFilter(query="(?i)["), []),
        (ItemFilter(root="library", folder="a", kinds=(MediaKind.IMAGE,), query="C"), ["a/b/c"]),
    ],
)
async def test_filters_pass_what_they_say(
    db_writer: asyncpg.Connection, store: LibraryStore, wanted: ItemFilter, paths: list[str]
) -> None:
    await scanned(
        db_writer,
        *(photo(path) for path in ("a!b", "a/B", "a/b/c", "a/É_%.jpg", "b/a/x")),
        photo("a0", state=ItemState.BROKEN, reason="cut short"),
        photo("ab", kind=MediaKind.VIDEO),
        photo("z", root="other"),
    )
    assert await listed(store, wanted) == paths


async def test_pages_follow_one_another_without_gap_or_repetition(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    await scanned(db_writer, *(photo(f"p{n:02}") for n in range(7)), photo("p00", root="other"))
    seen: list[str] = []
    token = ""
    for _ in range(4):
        page = await store.list_items(ItemFilter(), page_size=2, page_token=token)
        assert page.total == 8
        seen += [f"{item.facts.root}:{item.facts.path}" for item in page.items]
        token = page.next_page_token
    assert token == ""
    assert seen == [f"library:p{n:02}" for n in range(7)] + ["other:p00"]


async def test_page_of_items_with_much_text_is_cut_to_fit_a_message(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    extra = '{"t": "' + "x" * 16_000 + '"}'
    await scanned(db_writer, *(photo(f"p{n:03}", extra=extra) for n in range(250)))
    first = await store.list_items(ItemFilter(), page_size=1000)
    rest = await store.list_items(ItemFilter(), page_size=1000, page_token=first.next_page_token)
    assert 150 < len(first.items) < 250
    assert [item.facts.path for item in first.items + rest.items] == [f"p{n:03}" for n in range(250)]
    assert rest.next_page_token == ""


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "////", "YWI="])
async def test_foreign_page_token_is_refused(store: LibraryStore, token: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await store.list_items(ItemFilter(), page_size=2, page_token=token)
    assert caught.value.field == "page_token"


async def test_cache_stats_count_thumbnails_of_the_present_content(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    ids = await scanned(db_writer, photo("a"), photo("b"), photo("c", kind=MediaKind.VIDEO))
    await derive(db_writer, 1, thumbnail(ids[0]), thumbnail(ids[0], recipe="w100", size_bytes=7))
    await derive(db_writer, 1, thumbnail(ids[1], source_identity="dd"))
    await derive(db_writer, 1, thumbnail(ids[2], kind="preview", size_bytes=9))
    stats = await store.cache_stats()
    assert (stats.derivative_count, stats.derivative_bytes) == (4, 10_016)
    assert (stats.thumbnail_count, stats.thumbnail_bytes) == (3, 10_007)
    assert (stats.item_count, stats.item_bytes > 0) == (3, True)
    assert [(count.kind, count.count, count.with_thumbnail) for count in stats.items] == [
        (MediaKind.IMAGE, 2, 1),
        (MediaKind.VIDEO, 1, 0),
    ]


async def test_reads_say_unavailable_while_the_database_is_away(
    store: LibraryStore, db_readers: asyncpg.Pool
) -> None:
    await db_readers.close()
    with pytest.raises(UnavailableError):
        await store.get_items([ItemId(new_job_id())])


async def test_a_sample_of_a_small_library_is_all_of_it(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    assert await store.sample_items(5) == []
    await scanned(db_writer, *(photo(path) for path in "abc"))

    assert {item.facts.path for item in await store.sample_items(5)} == {"a", "b", "c"}
    assert len(await store.sample_items(2)) == 2
