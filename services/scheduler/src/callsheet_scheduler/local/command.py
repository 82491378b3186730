"""``callsheet up``: everything on this machine, by one command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.processes import METERED


def app(
    *,
    media: Annotated[
        Path | None,
        typer.Option(
            readable=False,  # is said in our own words
            help="The folder with your media, never written to. Without it samples are made.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of REST; 0 takes a free one.")] = 8080,
    metrics_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535 - len(METERED) + 1,
            help=f"Serve metrics and probes at this port and those behind it, in this order: "
            f"{', '.join(METERED)}. 0 takes free ones.",
        ),
    ] = 0,
    data: Annotated[
        Path,
        typer.Option(readable=False, envvar="CALLSHEET_DATA", help="The folder for everything that is kept."),
    ] = Path("var"),
) -> None:
    """Start the database, the scheduler, the workers and REST here, and scan the media."""
    from callsheet_scheduler.local.up import Wish, up  # noqa: PLC0415 -- other commands need none of it

    wish = Wish(media=media, port=port, metrics_port=metrics_port, data=data, environment=dict(os.environ))
    try:
        code = asyncio.run(up(wish))
    except StartError as error:
        sys.stderr.write(f"{error.message}\n")
        code = 1
    raise typer.Exit(code)
