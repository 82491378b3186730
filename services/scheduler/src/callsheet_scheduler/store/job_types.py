"""Keeps the job types that workers brought, and what administrators decided of types."""

from collections.abc import Sequence

from callsheet.catalog import Category
from callsheet_scheduler.domain.job_type import KeptChange, KnownType, TypeChange
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
            [row.internal for row in types],
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
            internal=row["internal"],
        )
        for row in await connection.fetch(statement("load_job_types"))
    ]


async def save_type_change(connection: Connection, kept: KeptChange) -> None:
    """Insert or replace what was decided of a type."""
    change = kept.change
    await connection.execute(
        statement("save_type_change"),
        kept.type,
        change.vram_mib,
        change.run_limit_s,
        change.learns_vram,
        kept.at,
        kept.by,
        sorted(kept.moves_mib),
    )


async def load_type_changes(connection: Connection) -> list[KeptChange]:
    """Return everything that was decided of types."""
    return [
        KeptChange(
            type=row["type"],
            change=TypeChange(
                vram_mib=row["vram_mib"], run_limit_s=row["run_limit_s"], learns_vram=row["learns_vram"]
            ),
            at=row["at"],
            by=row["changed_by"],
            moves_mib=frozenset(row["moves_mib"]),
        )
        for row in await connection.fetch(statement("load_type_changes"))
    ]
