"""Keeps an item the same when its file goes on at another place, whoever looks at the library meanwhile."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import asyncpg

from callsheet_scheduler.domain.library import ItemFacts, ItemId
from callsheet_scheduler.store.statements import statement

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Place = tuple[str, str]
"""Root and path."""


async def follow(
    connection: asyncpg.Connection, items: Sequence[ItemFacts], missing_ids: Sequence[ItemId], *, now: float
) -> set[ItemId]:
    """Let missing items whose content is that of one of *items* take that one's place; return which did.

    What was known at the place is forgotten. Where the file is also what a job made of other items, they
    point to it there. The facts themselves are the caller's to write afterwards.
    """
    if not items or not missing_ids:
        return set()
    found = await connection.fetch(
        statement("find_moved"),
        missing_ids,
        [item.root for item in items],
        [item.path for item in items],
        [item.identity for item in items],
    )
    taken: set[Place] = set()
    moved: set[ItemId] = set()
    for row in found:
        place, item_id = (row["root"], row["path"]), ItemId(row["id"])
        if place in taken or item_id in moved:
            continue
        taken.add(place)
        moved.add(item_id)
        await connection.execute(statement("free_place"), *place, item_id)
        origin = (row["from_root"], row["from_path"])
        await connection.execute(statement("move_item"), now, *place, item_id, *origin)
        await connection.execute(statement("move_output"), _sources(row["extra"]), *place, *origin)
    return moved


async def without_late(
    connection: asyncpg.Connection, ids: dict[Place, ItemId], granted_at: datetime | None
) -> dict[Place, ItemId]:
    """Take back items that an attempt saw where another item lay before it was moved; return the ids to use.

    Args:
        connection: In the transaction that wrote them, and after that: only then a move is seen that
            was committed while the rows were waited for.
        ids: What was written, by its place.
        granted_at: When the attempt was granted.
    """
    late = await connection.fetch(statement("drop_late_items"), list(ids.values()), granted_at)
    return ids | {(row["root"], row["path"]): ItemId(row["id"]) for row in late}


async def mark_missing(
    connection: asyncpg.Connection, ids: Sequence[ItemId], granted_at: datetime | None, *, now: float
) -> None:
    """Mark items whose files are gone, as far as they lie where the attempt looked."""
    await connection.execute(statement("lock_items"), ids)
    await connection.execute(statement("mark_missing"), now, ids, granted_at)


def _sources(extra: str) -> list[str]:
    """Return the items that an item was made from, as its further facts name them."""
    named = json.loads(extra).get("sources")
    if not isinstance(named, list):
        return []
    return [one for one in cast("list[object]", named) if isinstance(one, str) and _ID.fullmatch(one)]
