"""``callsheet cache``: keep pictures and metadata of the library made."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from callsheet.catalog import BULK_PRIORITY, CACHE_BUILD, CACHE_SWEEP
from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import enum_text
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import size_text
from callsheet.cli.places import find_place
from callsheet.media.outputs import PictureFormat
from callsheet.params import DerivativeKind
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import ItemState, MediaKind

app = typer.Typer(help="Keep pictures and metadata of the library made.", no_args_is_help=True)

BUILD_KEY = "cache-build"
"""At most one job that builds everything lives."""


@command(app, "build")
async def build(
    reach: Reach,
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Only this folder; written as for `scan`.")
    ] = None,
    *,
    kind: Annotated[list[DerivativeKind] | None, typer.Option(help="What to make; repeatable.")] = None,
    box: Annotated[
        list[int] | None,
        typer.Option(min=16, max=2048, metavar="PIXELS", help="A size of thumbnails; repeatable."),
    ] = None,
    made_as: Annotated[
        PictureFormat | None, typer.Option("--format", help="Of thumbnails and previews.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=200, help="Files of one job.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make everything again.")] = False,
) -> ExitCode:
    """Find new and changed files and make what they lack, by jobs that give way to all others."""
    params: dict[str, JsonValue] = {}
    if folder is not None:
        place = find_place(folder, here=Path.cwd(), roots=reach.connection.roots, field="DIR")
        params["roots"] = [place.root]
        if place.path:
            params["path"] = place.path
    if kind:
        params["kinds"] = list[JsonValue]([one.value for one in kind])
    if box:
        params["boxes"] = list[JsonValue](box)
    if made_as is not None:
        params["format"] = made_as.value
    if batch is not None:
        params["batch"] = batch
    if force:
        params["force"] = True
    return await _submit(reach, CACHE_BUILD.name, params, unique_key="" if params else BUILD_KEY)


@command(app, "sweep")
async def sweep(
    reach: Reach,
    *,
    min_age_s: Annotated[
        int | None,
        typer.Option("--min-age", min=0, metavar="SECONDS", help="Files without a row stay for so long."),
    ] = None,
) -> ExitCode:
    """Remove what was made of deleted files, and files that nothing points at."""
    params: dict[str, JsonValue] = {} if min_age_s is None else {"minAgeS": min_age_s}
    return await _submit(reach, CACHE_SWEEP.name, params, unique_key=CACHE_SWEEP.name)


@command(app, "stats")
async def stats(reach: Reach) -> ExitCode:
    """Show how much is cached, and how many items have a thumbnail."""
    found = await reach.client.cache_stats()
    if reach.output.as_json:
        reach.output.document(found)
        return ExitCode.OK
    others = found.derivative_count - found.thumbnail_count
    other_bytes = found.derivative_bytes - found.thumbnail_bytes
    reach.output.table(
        ("CACHED", "COUNT>", "SIZE>"),
        [
            ("thumbnails", str(found.thumbnail_count), size_text(found.thumbnail_bytes)),
            ("others", str(others), size_text(other_bytes)),
            ("metadata", str(found.item_count), size_text(found.item_bytes)),
        ],
    )
    reach.output.table(
        ("ITEMS", "STATE", "COUNT>", "THUMBNAILS>"),
        [
            (
                enum_text(MediaKind.DESCRIPTOR, one.kind),
                enum_text(ItemState.DESCRIPTOR, one.state),
                str(one.count),
                str(one.with_thumbnail),
            )
            for one in found.items
        ],
    )
    return ExitCode.OK


async def _submit(reach: Reach, job_type: str, params: dict[str, JsonValue], *, unique_key: str) -> ExitCode:
    submitted = await reach.client.submit(
        NewJob(type=job_type, params_json=json.dumps(params), priority=BULK_PRIORITY, unique_key=unique_key)
    )
    if reach.output.as_json:
        reach.output.document(submitted)
    else:
        reach.output.say(submitted.id)
    return ExitCode.OK
