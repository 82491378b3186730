"""An item whose file goes to another place stays the same item, whatever else is written meanwhile."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from callsheet_scheduler.domain.library import ItemFacts, ItemId, ItemState
from callsheet_scheduler.store.library import upsert_items_fenced
from callsheet_scheduler.store.library_reads import ItemFilter, LibraryStore
from callsheet_scheduler.store.pool import open_writer
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.library_rows import NOW, derive, lease, lending, photo, scanned, thumbnail
from tests.support.patience import PATIENCE_S

MOVED_AT = NOW + 60
OLD, NEW = photo("inbox/a"), photo("library/videos/a")


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> LibraryStore:
    return LibraryStore(db_lists, db_readers)


class Writer:
    """An attempt that was granted at some instant."""

    def __init__(self, connection: asyncpg.Connection, job_id: str) -> None:
        self.connection = connection
        self.job_id = job_id

    async def write(
        self, *items: ItemFacts, missing: tuple[ItemId, ...] = (), now: float = MOVED_AT
    ) -> list[ItemId]:
        return await upsert_items_fenced(
            lending(self.connection), self.job_id, 1, items, list(missing), now=now
        )


async def attempt(connection: asyncpg.Connection, granted_at: float) -> Writer:
    return Writer(connection, await lease(connection, token=1, granted_at=granted_at))


async def listed(store: LibraryStore) -> list[tuple[str, str]]:
    page = await store.list_items(ItemFilter(), page_size=10)
    return [(str(item.id), item.facts.path) for item in page.items]


async def test_moved_item_keeps_its_id_its_derivatives_and_who_may_see_it(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, replace(OLD, public=True))
    await derive(db_writer, 1, thumbnail(item_id))
    mover = await attempt(db_writer, NOW)

    ids = await mover.write(NEW, missing=(item_id,))
    item = await store.get_item(item_id)

    assert ids == [item_id]
    assert item is not None
    assert (item.facts.path, item.facts.state, item.facts.public) == (NEW.path, ItemState.OK, True)
    assert [one.facts.kind for one in item.derivatives] == ["thumbnail"]
    assert await listed(store) == [(item_id, NEW.path)]


async def test_move_said_twice_is_one_move(db_writer: asyncpg.Connection, store: LibraryStore) -> None:
    [item_id] = await scanned(db_writer, OLD)
    mover = await attempt(db_writer, NOW)

    await mover.write(NEW, missing=(item_id,))
    again = await mover.write(NEW, missing=(item_id,), now=MOVED_AT + 1)
    item = await store.get_item(item_id)

    assert again == [item_id]
    assert item is not None
    assert item.facts.state is ItemState.OK


async def test_item_that_a_scan_made_of_the_moved_file_gives_way(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    mover, scan = await attempt(db_writer, NOW), await attempt(db_writer, NOW)

    [seen] = await scan.write(NEW)
    await mover.write(NEW, missing=(item_id,))

    assert seen != item_id
    assert await listed(store) == [(item_id, NEW.path)]


async def test_attempt_that_saw_the_file_before_it_moved_makes_no_second_item(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    mover, scan = await attempt(db_writer, NOW), await attempt(db_writer, MOVED_AT - 1)

    await mover.write(NEW, missing=(item_id,))
    ids = await scan.write(photo("b"), OLD)

    assert ids[1] == item_id
    assert [path for _, path in await listed(store)] == ["b", NEW.path]


async def test_attempt_that_missed_the_file_at_its_old_place_marks_nothing(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    mover, scan = await attempt(db_writer, NOW), await attempt(db_writer, MOVED_AT - 1)
    later = await attempt(db_writer, MOVED_AT + 1)

    await mover.write(NEW, missing=(item_id,))
    await scan.write(missing=(item_id,))
    before = await store.get_item(item_id)
    await later.write(missing=(item_id,))
    after = await store.get_item(item_id)

    assert before is not None
    assert after is not None
    assert (before.facts.state, after.facts.state) == (ItemState.OK, ItemState.MISSING)


async def test_file_put_at_the_old_place_afterwards_is_an_item_of_its_own(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    mover, later = await attempt(db_writer, NOW), await attempt(db_writer, MOVED_AT + 1)

    await mover.write(NEW, missing=(item_id,))
    [copy] = await later.write(OLD)

    assert copy != item_id
    assert len(await listed(store)) == 2


async def test_item_that_moves_back_stays_the_same(
    db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    there, back = await attempt(db_writer, NOW), await attempt(db_writer, NOW)

    await there.write(NEW, missing=(item_id,))
    await back.write(OLD, missing=(item_id,))

    assert await listed(store) == [(item_id, OLD.path)]


async def test_scan_that_writes_while_the_move_commits_makes_no_second_item(
    fresh_dsn: str, db_writer: asyncpg.Connection, store: LibraryStore
) -> None:
    [item_id] = await scanned(db_writer, OLD)
    other = await open_writer(fresh_dsn)
    mover, scan = await attempt(db_writer, NOW), await attempt(other, NOW)

    moving = db_writer.transaction()
    await moving.start()
    await mover.write(NEW, missing=(item_id,))
    writing = asyncio.create_task(scan.write(OLD))
    await blocked(db_writer)
    await moving.commit()
    ids = await writing
    await other.close()

    assert ids == [item_id]
    assert await listed(store) == [(item_id, NEW.path)]


async def blocked(connection: asyncpg.Connection) -> None:
    """Wait until another connection waits for a row of this one's transaction."""
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.fetchval(  # noqa: ASYNC110 -- another connection
            "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        ):
            await asyncio.sleep(0)
