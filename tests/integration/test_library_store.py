"""What jobs write into the library, and under which lease."""

import asyncio

import asyncpg
import pytest
from callsheet_scheduler.domain.library import (
    BrokenItem,
    ItemId,
    ItemState,
    LibraryChanges,
    MediaKind,
)
from callsheet_scheduler.store.library import (
    ItemKey,
    LeasedChanges,
    Write,
    apply_all,
    upsert_items_fenced,
)
from callsheet_scheduler.store.library_reads import ItemFilter, LibraryStore
from callsheet_scheduler.store.pool import open_writer
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.errors import InvalidError, LeaseLostError
from callsheet.ids import new_job_id
from tests.support.library_rows import NOW, apply_changes, derive, lease, lending, photo, scanned, thumbnail

LATER = NOW + 60


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


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

    async def slow(write: Write) -> dict[ItemKey, ItemId]:
        async with db_writer.transaction():
            written = await write(db_writer)
            entered.set()
            await leave.wait()
        return written

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


async def test_derivatives_of_missing_items_and_of_earlier_content_are_forgotten_and_no_others(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    gone, changed, kept, unnamed = await scanned(db_writer, *(photo(name) for name in "abcd"))
    for item_id in (gone, changed, kept, unnamed):
        await derive(db_writer, 1, thumbnail(item_id))
    token = 7
    job_id = await lease(db_writer, token=token)
    await scanned(db_writer, photo("b", identity="bb"))
    await upsert_items_fenced(lending(db_writer), job_id, token, [], [gone, unnamed], now=LATER)
    named = [gone, changed, kept]
    await upsert_items_fenced(lending(db_writer), job_id, token, [], [], named, now=LATER)
    rows = await db_writer.fetch("SELECT item_id::text FROM library_derivative")
    assert {row[0] for row in rows} == {kept, unnamed}
    with pytest.raises(LeaseLostError):
        await upsert_items_fenced(lending(db_writer), job_id, token - 1, [], [], [unnamed], now=LATER)
