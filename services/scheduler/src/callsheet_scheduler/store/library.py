"""Writes media items and what is made from them, inside the transaction or under the lease of a job."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import asyncpg

from callsheet.errors import LeaseLostError, OverloadedError
from callsheet.ids import new_job_id
from callsheet_scheduler.domain.library import (
    BrokenItem,
    DerivativeFacts,
    ItemFacts,
    ItemId,
    LibraryChanges,
    check_changes,
    folded_items,
)
from callsheet_scheduler.store.moves import follow, mark_missing, without_late
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.store.tags import replace_tags

ItemKey = tuple[str, str]
"""Root and path."""

Write = Callable[[asyncpg.Connection], Awaitable[dict[ItemKey, ItemId]]]

Writer = Callable[[Write], Awaitable[dict[ItemKey, ItemId]]]
"""Lends a connection of the leader, outside any transaction, to what is to be written."""

#: How long a batch in mid-job waits for a row before it gives way. Well below the deadlock_timeout of
#: the server (1 s), so that the transaction which ends jobs is never the one that is ended.
ROW_WAIT_MS: Final = 200

#: How often such a batch begins again.
ATTEMPTS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedChanges:
    """Changes and the lease under which they were made."""

    job_id: str
    token: int
    changes: LibraryChanges
    collection: str | None = None
    """Where its items belong; None leaves them where they are."""


async def apply_all(connection: asyncpg.Connection, batch: Sequence[LeasedChanges], *, now: float) -> None:
    """Check and write what several results change, in few statements.

    The transaction is the caller's, and so is the check of the leases. Where two name the same item
    the later one counts; the same derivative, the newer lease.

    Raises:
        InvalidError: Something cannot be written; names it. Nothing was written.
    """
    for leased in batch:
        check_changes(leased.changes)
    items = [item for leased in batch for item in leased.changes.items]
    derivatives = [
        (facts, leased.job_id, leased.token) for leased in batch for facts in leased.changes.derivatives
    ]
    broken = [found for leased in batch for found in leased.changes.broken]
    if items:
        collections = {
            (item.root, item.path): leased.collection
            for leased in batch
            for item in leased.changes.items
            if leased.collection
        }
        await upsert_items(connection, items, collections, now=now)
    if derivatives:
        await upsert_derivatives(connection, derivatives, now=now)
    if broken:
        await mark_broken(connection, broken, now=now)
    tags = [(found, leased.job_id) for leased in batch for found in leased.changes.tags]
    if tags:
        await replace_tags(connection, tags, now=now)


async def mark_poison(connection: asyncpg.Connection, job_ids: Sequence[str], *, now: float) -> None:
    """Mark broken what these jobs, now in history, were about, where each names one item."""
    await connection.execute(statement("mark_poison"), now, list(job_ids))


async def note_views(connection: asyncpg.Connection, ids: Sequence[ItemId], *, now: float) -> None:
    """Note that somebody looked at items."""
    await connection.execute(statement("note_views"), list(ids), now)


async def upsert_items_fenced(
    writer: Writer,
    job_id: str,
    token: int,
    items: Sequence[ItemFacts],
    missing_ids: Sequence[ItemId] = (),
    forget_ids: Sequence[ItemId] = (),
    *,
    now: float,
) -> list[ItemId]:
    """Write items in the middle of a job and return their ids in the order given.

    A missing item whose content is that of one of *items* has moved: it goes there and stays the same item.

    Raises:
        LeaseLostError: The lease is no longer the job's newest; nothing was written.
        OverloadedError: Others write the same rows all the time; nothing was written.
        UnavailableError: The outcome is unknown; repeating writes the same rows.
    """

    async def write(connection: asyncpg.Connection) -> dict[ItemKey, ItemId]:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {ROW_WAIT_MS}")
            collection, granted_at = await lock_lease(connection, job_id, token)
            collections = {(item.root, item.path): collection for item in items} if collection else {}
            moved = await follow(connection, items, missing_ids, now=now)
            ids = await upsert_items(connection, items, collections, now=now)
            ids = await without_late(connection, ids, granted_at)
            gone = [item_id for item_id in missing_ids if item_id not in moved]
            if gone:
                await mark_missing(connection, gone, granted_at, now=now)
            if forget_ids:
                await forget_derivatives(connection, forget_ids)
        return ids

    for _ in range(ATTEMPTS_MAX):
        try:
            with repeatable():
                ids = await writer(write)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            continue
        return [ids[item.root, item.path] for item in items]
    raise OverloadedError("the same items are being written by other jobs; repeat the call")


async def lock_lease(
    connection: asyncpg.Connection, job_id: str, token: int
) -> tuple[str | None, datetime | None]:
    """Keep the lease the newest until the transaction ends; return the job's collection, and since when.

    Raises:
        LeaseLostError: It is not.
    """
    row = await connection.fetchrow(statement("lock_lease"), job_id, token)
    if row is None:
        raise LeaseLostError(f"the lease {token:016x} is no longer the newest of job {job_id}")
    return row["collection"], row["granted_at"]


async def upsert_items(
    connection: asyncpg.Connection,
    items: Iterable[ItemFacts],
    collections: Mapping[ItemKey, str] = MappingProxyType({}),
    *,
    now: float,
) -> dict[ItemKey, ItemId]:
    """Insert or replace items, the last of those with one root and path, and return all their ids.

    Those that are in *collections* go there.
    """
    rows = folded_items(items)
    written = await connection.fetch(
        statement("upsert_items"),
        now,
        [new_job_id() for _ in rows],
        [row.root for row in rows],
        [row.path for row in rows],
        [int(row.kind) for row in rows],
        [int(row.state) for row in rows],
        [row.reason for row in rows],
        [row.size_bytes for row in rows],
        [row.mtime_ns for row in rows],
        [row.identity for row in rows],
        [row.width for row in rows],
        [row.height for row in rows],
        [row.duration_s for row in rows],
        [row.format for row in rows],
        [row.video_codec for row in rows],
        [row.audio_codec for row in rows],
        [row.rotation for row in rows],
        [row.frame_rate for row in rows],
        [row.bitrate_kbps for row in rows],
        [row.pages for row in rows],
        [row.extra for row in rows],
        [row.public for row in rows],
        [collections.get((row.root, row.path)) for row in rows],
    )
    return {(row["root"], row["path"]): ItemId(row["id"]) for row in written}


async def forget_derivatives(connection: asyncpg.Connection, ids: Sequence[ItemId]) -> None:
    """Drop the rows of derivatives of missing items among these, and those of content that has passed."""
    await connection.execute(statement("forget_derivatives"), ids)


async def mark_broken(connection: asyncpg.Connection, broken: Sequence[BrokenItem], *, now: float) -> None:
    """Mark items broken whose content is still the one that was found broken."""
    last = {found.item_id: found for found in broken}
    await connection.execute(
        statement("mark_broken"),
        now,
        list(last),
        [found.source_identity for found in last.values()],
        [found.reason for found in last.values()],
    )


async def upsert_derivatives(
    connection: asyncpg.Connection, derivatives: Sequence[tuple[DerivativeFacts, str, int]], *, now: float
) -> None:
    """Point at derivatives, each with the job and token that it was made under."""
    rows = [facts for facts, _, _ in derivatives]
    await connection.execute(
        statement("upsert_derivatives"),
        now,
        [row.item_id for row in rows],
        [row.kind for row in rows],
        [row.recipe for row in rows],
        [row.source_identity for row in rows],
        [row.root for row in rows],
        [row.path for row in rows],
        [row.media_type for row in rows],
        [row.width for row in rows],
        [row.height for row in rows],
        [row.size_bytes for row in rows],
        [row.inline for row in rows],
        [job_id for _, job_id, _ in derivatives],
        [token for _, _, token in derivatives],
    )
