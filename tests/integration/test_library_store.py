"""What jobs write into the library, and what readers find there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from callsheet_scheduler.domain.library import (
    BrokenItem,
    DerivativeFacts,
    ItemFacts,
    ItemId,
    ItemState,
    LibraryChanges,
    MediaKind,
)
from callsheet_scheduler.store.library import (
    LeasedChanges,
    Writer,
    apply_all,
    apply_changes,
    upsert_items_fenced,
)
from callsheet_scheduler.store.library_reads import ItemFilter, LibraryStore
from callsheet_scheduler.store.pool import open_writer
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.errors import InvalidError, LeaseLostError, UnavailableError
from callsheet.ids import new_job_id

NOW = 1_800_000_000.25
LATER = NOW + 60


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


def photo(path: str, **facts: Any) -> ItemFacts:  # noqa: ANN401 -- any field
    base = ItemFacts(
        root="library",
        path=path,
        kind=MediaKind.IMAGE,
        size_bytes=1000,
        mtime_ns=1_700_000_000_123_456_789,
        identity="aa",
        width=640,
        height=480,
        format="JPEG",
        extra='{"camera": "X"}',
    )
    return replace(base, **facts)


def thumbnail(item_id: ItemId, **facts: Any) -> DerivativeFacts:  # noqa: ANN401 -- any field
    base = DerivativeFacts(
        item_id=item_id,
        kind="thumbnail",
        recipe="box300",
        source_identity="aa",
        root="derivatives",
        path="aa/one.webp",
        media_type="image/webp",
        width=300,
        height=225,
        size_bytes=5000,
    )
    return replace(base, **facts)


def lending(connection: asyncpg.Connection) -> Writer:
    @asynccontextmanager
    async def lend() -> AsyncGenerator[asyncpg.Connection]:
        yield connection

    return lend


async def lease(connection: asyncpg.Connection, *, token: int, state: int = 2) -> str:
    """Insert a job that is leased under *token* and return its id."""
    job_id = new_job_id()
    await connection.execute(
        """
        INSERT INTO job_live (
            id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
            created_at, params, state, token, attempt, retry_count, lost_count, capacity_count
        ) VALUES ($1, 1, 'scan', 1, 5, false, 0, 3, 0, now(), '{}', $2, $3, 1, 0, 0, 0)
        """,
        job_id,
        state,
        token,
    )
    return job_id


async def scanned(connection: asyncpg.Connection, *items: ItemFacts, now: float = NOW) -> list[ItemId]:
    job_id = await lease(connection, token=1)
    return await upsert_items_fenced(lending(connection), job_id, 1, items, now=now)


async def derive(connection: asyncpg.Connection, token: int, *derivatives: DerivativeFacts) -> None:
    changes = LibraryChanges(derivatives=derivatives)
    await apply_changes(connection, new_job_id(), token, changes, NOW)


async def test_scanned_item_is_read_back_as_it_was_written(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    clip = photo(
        "clips/ä b.mp4",
        kind=MediaKind.VIDEO,
        duration_s=12.5,
        video_codec="h264",
        audio_codec="aac",
        rotation=90,
        frame_rate=29.97,
        bitrate_kbps=2000,
    )
    [item_id] = await scanned(db_writer, clip)
    item = await store.get_item(item_id)
    assert item is not None
    assert (item.facts, item.created_at, item.updated_at) == (clip, NOW, NOW)
    assert await store.get_item_at("library", "clips/ä b.mp4") == item
    assert await store.get_item_at("library", "clips") is None


async def test_ids_come_in_the_order_of_the_request_and_stay_when_an_item_changes(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    first = await scanned(db_writer, photo("b"), photo("a"), photo("c"))
    again = await scanned(db_writer, photo("c"), photo("b", identity="bb"), photo("d"), now=LATER)
    assert again[:2] == [first[2], first[0]]
    changed = await store.get_item(first[0])
    assert changed is not None
    assert (changed.facts.identity, changed.created_at, changed.updated_at) == ("bb", NOW, LATER)


async def test_same_path_twice_in_a_batch_is_one_item_as_it_was_said_last(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    ids = await scanned(db_writer, photo("a", identity="aa"), photo("b"), photo("a", identity="cc"))
    assert ids[0] == ids[2] != ids[1]
    item = await store.get_item(ids[0])
    assert item is not None
    assert item.facts.identity == "cc"


@pytest.mark.parametrize(("token", "state"), [(6, 2), (8, 2), (7, 1), (7, 4)])
async def test_worker_without_the_newest_lease_writes_nothing(
    db_writer: asyncpg.Connection, store: LibraryStore, token: int, state: int
) -> None:
    job_id = await lease(db_writer, token=7, state=state)
    with pytest.raises(LeaseLostError):
        await upsert_items_fenced(lending(db_writer), job_id, token, [photo("a")], now=NOW)
    page = await store.list_items(ItemFilter(), page_size=10)
    assert page.items == ()


async def test_lease_cannot_end_while_rows_are_written_under_it(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    job_id = await lease(db_writer, token=7)
    other = await open_writer(fresh_dsn)
    entered, leave = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncGenerator[asyncpg.Connection]:
        async with db_writer.transaction():
            yield db_writer
            entered.set()
            await leave.wait()

    writing = asyncio.create_task(upsert_items_fenced(slow, job_id, 7, [photo("a")], now=NOW))
    await entered.wait()
    await other.execute("SET lock_timeout = '50ms'")
    with pytest.raises(asyncpg.LockNotAvailableError):
        await other.execute("DELETE FROM job_live WHERE id = $1", job_id)
    leave.set()
    await writing
    assert await other.execute("DELETE FROM job_live WHERE id = $1", job_id) == "DELETE 1"
    await other.close()


async def test_missing_items_are_marked_and_come_back_when_their_file_does(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    job_id = await lease(db_writer, token=2)
    await upsert_items_fenced(lending(db_writer), job_id, 2, [], [item_id, ItemId(new_job_id())], now=LATER)
    gone = await store.get_item(item_id)
    await scanned(db_writer, photo("a"))
    back = await store.get_item(item_id)
    assert gone is not None
    assert back is not None
    assert (gone.facts.state, back.facts.state) == (ItemState.MISSING, ItemState.OK)


async def test_item_shown_to_everybody_is_not_hidden_by_a_scan_that_does_not_know(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a", public=True))
    await scanned(db_writer, photo("a"))
    item = await store.get_item(item_id)
    assert item is not None
    assert item.facts.public


async def test_mid_job_batch_gives_way_to_the_transaction_that_ends_jobs(
    fresh_dsn: str, db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    await scanned(db_writer, photo("a"), photo("b"))
    job_id = await lease(db_writer, token=3)
    turn = await open_writer(fresh_dsn)
    ending = turn.transaction()
    await ending.start()
    await apply_changes(turn, new_job_id(), 9, LibraryChanges(items=(photo("b", identity="b9"),)), NOW)
    batch = [photo("a", identity="a3"), photo("b", identity="b3")]
    writing = asyncio.create_task(upsert_items_fenced(lending(db_writer), job_id, 3, batch, now=NOW))
    # The batch holds a and waits for b; the turn now wants a: only the batch may have to yield.
    while not await turn.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass
    await apply_changes(turn, new_job_id(), 9, LibraryChanges(items=(photo("a", identity="a9"),)), NOW)
    await ending.commit()
    await writing
    await turn.close()
    page = await store.list_items(ItemFilter(), page_size=10)
    assert [item.facts.identity for item in page.items] == ["a3", "b3"]


async def test_derivative_is_found_with_its_item_until_the_content_changes(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    job_id = new_job_id()
    hash_ = thumbnail(item_id, kind="thumbhash", root="", path="", inline=b"\x01\x02", size_bytes=2)
    await apply_changes(db_writer, job_id, 5, LibraryChanges(derivatives=(thumbnail(item_id), hash_)), NOW)
    item = await store.get_item(item_id)
    assert item is not None
    assert [derivative.facts for derivative in item.derivatives] == [hash_, thumbnail(item_id)]
    assert {(made.job_id, made.created_at) for made in item.derivatives} == {(job_id, NOW)}
    await scanned(db_writer, photo("a", identity="bb"))
    changed = await store.get_item(item_id)
    assert changed is not None
    assert changed.derivatives == ()


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ((1, "aa", "old"), (2, "aa", "new"), "new"),
        ((2, "aa", "new"), (1, "aa", "old"), "new"),
        ((2, "aa", "same"), (2, "aa", "again"), "again"),
        ((1, "aa", "present"), (2, "bb", "future"), "present"),
        ((2, "bb", "passed"), (1, "aa", "present"), "present"),
        ((1, "bb", "passed"), (2, "cc", "passed too"), "passed too"),
        ((2, "bb", "passed"), (1, "cc", "older"), "passed"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
async def test_which_of_two_derivatives_counts(
    db_writer: asyncpg.Connection,
    first: tuple[int, str, str],
    second: tuple[int, str, str],
    kept: str,
    together: bool,  # noqa: FBT001 -- both ways of writing have to agree
) -> None:
    [item_id] = await scanned(db_writer, photo("a", identity="aa"))
    batch = [
        LeasedChanges(
            job_id=new_job_id(),
            token=token,
            changes=LibraryChanges(derivatives=(thumbnail(item_id, source_identity=identity, path=path),)),
        )
        for token, identity, path in (first, second)
    ]
    for part in [batch] if together else [[one] for one in batch]:
        await apply_all(db_writer, part, now=NOW)
    assert await db_writer.fetchval("SELECT path FROM library_derivative") == kept


async def test_derivative_of_an_item_that_is_gone_is_passed_over(db_writer: asyncpg.Connection) -> None:
    [item_id] = await scanned(db_writer, photo("a"))
    await derive(db_writer, 1, thumbnail(ItemId(new_job_id())), thumbnail(item_id))
    assert await db_writer.fetchval("SELECT count(*) FROM library_derivative") == 1


async def test_item_is_marked_broken_only_while_its_content_is_what_was_found_broken(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    ids = await scanned(db_writer, photo("a"), photo("b", identity="bb"))
    broken = tuple(BrokenItem(item_id=id_, source_identity="aa", reason="truncated") for id_ in ids)
    await apply_changes(db_writer, new_job_id(), 1, LibraryChanges(broken=broken), LATER)
    first, second = await store.get_items(ids)
    assert (first.facts.state, first.facts.reason) == (ItemState.BROKEN, "truncated")
    assert (second.facts.state, second.facts.reason) == (ItemState.OK, "")


async def test_changes_that_cannot_be_written_are_refused_whole(db_writer: asyncpg.Connection) -> None:
    changes = LibraryChanges(items=(photo("a"), photo("../b")))
    with pytest.raises(InvalidError) as caught:
        await apply_changes(db_writer, new_job_id(), 1, changes, NOW)
    assert caught.value.field == "library.items[1].path"
    assert await db_writer.fetchval("SELECT count(*) FROM library_item") == 0


async def test_longest_path_of_all_fits_the_index(db_writer: asyncpg.Connection, store: LibraryStore) -> None:
    # Characters without repetition, so that PostgreSQL cannot compress them.
    long = "".join(chr(0x4E00 + index * 7 % 20_000) for index in range(682)) + "xx"
    assert len(long.encode()) == 2048
    await scanned(db_writer, photo(long, root="r" * 64))
    assert await store.get_item_at("r" * 64, long) is not None


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
