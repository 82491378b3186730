"""Items, derivatives and leases to write into a library."""

from dataclasses import replace
from typing import Any

import asyncpg
from callsheet_scheduler.domain.library import (
    DerivativeFacts,
    ItemFacts,
    ItemId,
    LibraryChanges,
    MediaKind,
)
from callsheet_scheduler.store.library import (
    LeasedChanges,
    Writer,
    apply_all,
    upsert_items_fenced,
)
from callsheet_scheduler.store.shared import Shared

from callsheet.ids import new_job_id

NOW = 1_800_000_000.25


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
    """Lend *connection* as the leader lends its own."""
    return Shared(connection).use


async def lease(
    connection: asyncpg.Connection, *, token: int, state: int = 2, granted_at: float = NOW
) -> str:
    """Insert a job that is leased under *token* and return its id."""
    job_id = new_job_id()
    await connection.execute(
        """
        INSERT INTO job_live (
            id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
            created_at, params, state, token, attempt, retry_count, lost_count, capacity_count,
            granted_at
        ) VALUES (
            $1, 1, 'scan', 1, 5, false, 0, 3, 0, now(), '{}', $2, $3, 1, 0, 0, 0, to_timestamp($4::float8)
        )
        """,
        job_id,
        state,
        token,
        granted_at,
    )
    return job_id


async def apply_changes(
    connection: asyncpg.Connection, job_id: str, token: int, changes: LibraryChanges, now: float
) -> None:
    """Write what one result changes."""
    await apply_all(connection, [LeasedChanges(job_id=job_id, token=token, changes=changes)], now=now)


async def scanned(connection: asyncpg.Connection, *items: ItemFacts, now: float = NOW) -> list[ItemId]:
    job_id = await lease(connection, token=1)
    return await upsert_items_fenced(lending(connection), job_id, 1, items, now=now)


async def derive(connection: asyncpg.Connection, token: int, *derivatives: DerivativeFacts) -> None:
    changes = LibraryChanges(derivatives=derivatives)
    await apply_changes(connection, new_job_id(), token, changes, NOW)
