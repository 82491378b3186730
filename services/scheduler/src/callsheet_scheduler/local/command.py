"""``callsheet up``: the whole system by one command."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from callsheet.errors import CallsheetError
from callsheet_scheduler.local.up import Wish, up


def app(
    *,
    media: Annotated[
        Path | None,
        typer.Option(help="The folder to scan; never written to. Without it a small sample library is made."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of REST on loopback.")] = 8080,
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("var"),
) -> None:
    """Start everything on this machine, scan MEDIA, and serve until Ctrl-C."""
    try:
        code = asyncio.run(up(Wish(media=media, port=port, data=data)))
    except (CallsheetError, OSError) as error:
        sys.stderr.write(f"callsheet: {error}\n")
        raise typer.Exit(1) from None
    raise typer.Exit(code)
