"""Keeps collections, and what of their jobs is final."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import asyncpg

from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRow:
    """A collection as the tables know it. Instants are seconds since 1970."""

    slug: str
    title: str
    created_at: float
    ended: dict[JobState, int]
    """Its final jobs by state."""
    started_at: float | None
    """When the first of them started."""
    finished_at: float | None
    """When the last of them ended."""


async def save_collections(connection: Connection, slugs: Sequence[str], title: str, *, now: float) -> None:
    """Make those of the collections that do not exist; a *title* that is not empty is theirs from now on."""
    await connection.execute(statement("save_collections"), sorted(slugs), title, now)


class CollectionStore:
    """Reads collections."""

    def __init__(self, readers: asyncpg.Pool) -> None:
        self._readers = readers

    async def page(self, *, after: str, limit: int) -> list[CollectionRow]:
        """Return collections behind a slug, by slug."""
        return _rows(await self._fetch(statement("read_collections"), after, limit))

    async def one(self, slug: str) -> CollectionRow | None:
        """Return a collection, None where there is none."""
        return next(iter(_rows(await self._fetch(statement("read_collection"), slug))), None)

    async def _fetch(self, text: str, *values: object) -> list[asyncpg.Record]:
        with repeatable():
            async with self._readers.acquire() as connection:
                return await connection.fetch(text, *values)


def _rows(found: Sequence[asyncpg.Record]) -> list[CollectionRow]:
    rows: list[CollectionRow] = []
    for slug, group in groupby(found, key=lambda row: str(row["slug"])):
        of_one = list(group)
        counted = [row for row in of_one if row["state"] is not None and row["jobs"]]
        rows.append(
            CollectionRow(
                slug=slug,
                title=of_one[0]["title"],
                created_at=of_one[0]["created_at"],
                ended={JobState(row["state"]): row["jobs"] for row in counted},
                started_at=min((row["started_at"] for row in counted if row["started_at"]), default=None),
                finished_at=max((row["finished_at"] for row in counted if row["finished_at"]), default=None),
            )
        )
    return rows
