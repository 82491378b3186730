"""Keeps the job types that workers brought."""

from collections.abc import Sequence
from typing import Protocol

import asyncpg

from callsheet.catalog import Category
from callsheet_scheduler.store.statements import statement


class TypeRow(Protocol):
    """A job type as a row."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def category(self) -> Category: ...
    @property
    def vram_mib(self) -> int: ...
    @property
    def run_limit_s(self) -> int: ...
    @property
    def params_schema(self) -> str: ...


async def save_job_types(connection: asyncpg.Connection, types: Sequence[TypeRow]) -> None:
    """Insert or replace job types by name."""
    await connection.execute(
        statement("save_job_types"),
        [row.name for row in types],
        [row.description for row in types],
        [int(row.category) for row in types],
        [row.vram_mib for row in types],
        [row.run_limit_s for row in types],
        [row.params_schema for row in types],
    )


async def load_job_types(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """Return the rows of every known type by name."""
    rows: list[asyncpg.Record] = await connection.fetch(statement("load_job_types"))
    return rows
