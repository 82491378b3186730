"""``callsheet backup`` and ``callsheet restore``: the database in one file."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Option(
        readable=False,
        envvar="CALLSHEET_DATA",
        help="The data folder of `callsheet up`, unless DATABASE_URL names a database.",
    ),
]


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The file to write.")],
    *,
    data: Data = Path("var"),
) -> None:
    """Copy the queue, its history, the library and the keys into a file, while all goes on.

    Not in it: media, what was made of them, and the tokens in the data folder.
    """
    sys.stdout.write(f"{asyncio.run(_back_up(file, data))}\n")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="What `backup` wrote.")],
    *,
    data: Data = Path("var"),
) -> None:
    """Bring a backup into a new data folder, or the empty database that DATABASE_URL names.

    Jobs that ran when the backup was made run again.
    """
    sys.stdout.write(f"{asyncio.run(_restore(file, data))}\n")


async def _back_up(file: Path, data: Path) -> str:
    from callsheet_scheduler.local.backup import back_up, present_database  # noqa: PLC0415 -- others need it not

    async with present_database(data, os.environ) as database:
        size_bytes = await back_up(database, file)
    return f"{file}: {size_bytes:,} bytes"


async def _restore(file: Path, data: Path) -> str:
    from callsheet_scheduler.local.backup import new_database, restore  # noqa: PLC0415 -- others need it not

    async with new_database(data, os.environ) as database:
        await restore(database, file)
    return f"{file} is restored; start Callsheet with it"
