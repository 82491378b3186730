"""``callsheet scan``: brings the library in step with a folder."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from callsheet.catalog import PUBLIC_SCAN, SCAN
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.places import Place, find_place
from callsheet.cli.progress import follow_library
from callsheet.cli.summary import summary_document, write_summary
from callsheet.v1.job_pb2 import NewJob

app = typer.Typer()


@command(app, "scan")
async def scan(
    reach: Reach,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="ROOT:PATH, or a folder of this machine that lies in a root, or a path inside the root "
            "`library`; . is all of it.",
        ),
    ] = ".",
    *,
    force: Annotated[bool, typer.Option("--force", help="Look at unchanged files again.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Mark what is found as shown to everybody.")
    ] = False,
    collection: Annotated[
        str,
        typer.Option(
            metavar="SLUG",
            help="The collection of the scan, its jobs, and all files that it finds.",
        ),
    ] = "",
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Show progress until the library is done, then what was found."),
    ] = False,
) -> ExitCode:
    """Scan a folder: find new, changed and vanished media, and make pictures of them."""
    place = find_place(folder, here=Path.cwd(), roots=reach.connection.roots, field="DIR")
    job = scan_job(place, force=force, public=public)
    job.collection = collection
    submitted = await reach.client.submit(job)
    if not wait:
        if reach.output.as_json:
            reach.output.document(submitted)
        else:
            reach.output.say(submitted.id)
        return ExitCode.OK
    try:
        summary = await follow_library(reach.patient, submitted.id, console=reach.output.aside)
    except asyncio.CancelledError:
        reach.output.remark(f"The scan goes on: callsheet jobs show {submitted.id}")
        raise
    if reach.output.as_json:
        reach.output.document(summary_document(summary))
    else:
        write_summary(summary, reach.output)
    return ExitCode.OK if summary.is_done else ExitCode.FAILED


def scan_job(place: Place, *, force: bool = False, public: bool = False) -> NewJob:
    """Return the job that scans *place*."""
    params: dict[str, str | bool] = {"root": place.root}
    if place.path:
        params["path"] = place.path
    if force:
        params["skipExisting"] = False
    return NewJob(type=(PUBLIC_SCAN if public else SCAN).name, params_json=json.dumps(params))
