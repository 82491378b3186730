"""Writes and reads what items are tagged with."""

from collections.abc import Sequence

import asyncpg

from callsheet_scheduler.domain.tags import ItemTag, TagSet, folded
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement


async def replace_tags(
    connection: asyncpg.Connection, sets: Sequence[tuple[TagSet, str]], *, now: float
) -> None:
    """Write what sources say of items in place of what they said, each set with its job.

    The transaction is the caller's. Of several sets of one item and source the last one counts; one of
    content that the item no longer has changes nothing.
    """
    kept = folded(sets)
    await connection.execute(
        statement("drop_tags"),
        [found.item_id for found, _ in kept],
        [found.source for found, _ in kept],
        [found.source_identity for found, _ in kept],
    )
    rows = [(found, job_id, name, score) for found, job_id in kept for name, score in found.tags]
    if rows:
        await connection.execute(
            statement("insert_tags"),
            now,
            [found.item_id for found, _, _, _ in rows],
            [found.source for found, _, _, _ in rows],
            [name for _, _, name, _ in rows],
            [score for _, _, _, score in rows],
            [found.computed_on for found, _, _, _ in rows],
            [found.source_identity for found, _, _, _ in rows],
            [job_id for _, job_id, _, _ in rows],
        )


async def read_tags(connection: Connection, items: Sequence[tuple[str, str]]) -> dict[str, list[ItemTag]]:
    """Return the tags of items, each named by its id and its present identity."""
    rows = await connection.fetch(
        statement("read_tags"), [item_id for item_id, _ in items], [identity for _, identity in items]
    )
    found: dict[str, list[ItemTag]] = {}
    for row in rows:
        tag = ItemTag(
            name=row["tag"],
            score=row["score"],
            source=row["source"],
            computed_on=row["computed_on"],
            job_id=row["job_id"],
            created_at=row["created_at"],
        )
        found.setdefault(row["item_id"], []).append(tag)
    return found
