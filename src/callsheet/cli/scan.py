"""``callsheet scan``: find what is in a folder."""

import json
from typing import Annotated

import typer

from callsheet.cli.connection import place_of
from callsheet.cli.options import Json, Options, options_of
from callsheet.cli.progress import follow_library, print_summary
from callsheet.cli.run import run
from callsheet.cli.show import print_json
from callsheet.v1.job_pb2 import NewJob


def scan(
    context: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="A folder in a root, or ROOT:path; the default is the library."),
    ] = "library:",
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until the library is done.")] = False,
    json_out: Json = False,
) -> None:
    """Scan a folder for new, changed and vanished files."""
    run(_scan(options_of(context), folder, wait=wait, json_out=json_out))


async def _scan(options: Options, folder: str, *, wait: bool, json_out: bool) -> int:
    connection = options.connection()
    root, path = place_of(folder, connection.roots)
    params = {"root": root} | ({"path": path} if path else {})
    async with connection.client() as client:
        (submitted,) = await client.submit([NewJob(type="scan", params_json=json.dumps(params))])
        if not wait:
            print_json(submitted) if json_out else typer.echo(submitted.id)
            return 0
        summary = await follow_library(client, submitted.id)
        if json_out:
            print_json(
                {
                    "id": submitted.id,
                    "counts": summary.counts,
                    "pictured": summary.pictured,
                    "missing": summary.missing,
                    "broken": {item.facts.path: item.facts.reason for item in summary.broken},
                    "failedJobs": [job.id for job in summary.failed_jobs],
                },
            )
        else:
            print_summary(summary)
        return 1 if summary.failed_jobs else 0
