"""Keeps what jobs turned out to need."""

import json
from collections.abc import Sequence
from typing import Final

from callsheet_scheduler.domain.footprint import KeptFootprint
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement

#: Stands in the table for all sizes together.
ALL_SIZES: Final = -1


async def save_footprints(connection: Connection, kept: Sequence[KeptFootprint]) -> None:
    """Insert or replace what is known, by type and size."""
    await connection.execute(
        statement("save_footprints"),
        [one.key[0] for one in kept],
        [ALL_SIZES if one.key[1] is None else one.key[1] for one in kept],
        [one.runs for one in kept],
        [json.dumps({"run_s": list(one.run_s), "need_mib": list(one.need_mib)}) for one in kept],
    )


async def load_footprints(connection: Connection) -> list[KeptFootprint]:
    """Return everything that is known."""
    return [
        KeptFootprint(
            key=(row["type"], None if row["size_class"] == ALL_SIZES else row["size_class"]),
            runs=row["runs"],
            run_s=row["run_s"],
            need_mib=row["need_mib"],
        )
        for row in await connection.fetch(statement("load_footprints"))
    ]
