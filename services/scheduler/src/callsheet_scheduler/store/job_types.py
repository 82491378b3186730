"""Keeps the job types that workers brought."""

from collections.abc import Sequence

from callsheet.catalog import Category
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement


async def save_job_types(connection: Connection, types: Sequence[KnownType]) -> None:
    """Insert or replace job types by name.

    Raises:
        UnavailableError: The database is away; repeating is safe.
    """
    with repeatable():
        await connection.execute(
            statement("save_job_types"),
            [row.name for row in types],
            [row.description for row in types],
            [int(row.category) for row in types],
            [row.vram_mib for row in types],
            [row.run_limit_s for row in types],
            [row.params_schema for row in types],
            [row.resumable for row in types],
            [row.learns_vram for row in types],
        )


async def load_job_types(connection: Connection) -> list[KnownType]:
    """Return every known type by name."""
    return [
        KnownType(
            name=row["name"],
            description=row["description"],
            category=Category(row["category"]),
            vram_mib=row["vram_mib"],
            run_limit_s=row["run_limit_s"],
            params_schema=row["params_schema"],
            resumable=row["resumable"],
            learns_vram=row["learns_vram"],
        )
        for row in await connection.fetch(statement("load_job_types"))
    ]
