"""``callsheet library``: see the media."""

from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from callsheet.cli.choices import ItemStateChoice, KindChoice, item_state_text, kind_text
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text, duration_text, size_text
from callsheet.cli.instants import instant, rfc3339
from callsheet.cli.output import state_cell
from callsheet.cli.places import find_place
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1.library_service_pb2 import Derivative, Item, ListItemsRequest

app = typer.Typer(help="See the media and what was made from them.", no_args_is_help=True)


@command(app, "list")
async def list_items(
    reach: Reach,
    folder: Annotated[
        str | None,
        typer.Argument(metavar="DIR", help="Only what lies in this folder; written as for `scan`."),
    ] = None,
    *,
    kind: Annotated[list[KindChoice] | None, typer.Option(help="Only this kind; repeatable.")] = None,
    state: Annotated[list[ItemStateChoice] | None, typer.Option(help="Only this state; repeatable.")] = None,
    query: Annotated[str, typer.Option(help="A part of the path, in any case.")] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only with this tag, whoever says so; repeatable, for all of them."),
    ] = None,
    collection: Annotated[str, typer.Option(metavar="SLUG", help="Only this collection.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 50,
) -> ExitCode:
    """List media by root and path."""
    wanted = ListItemsRequest(
        kinds=[one.value_on_wire for one in kind or ()],
        states=[one.value_on_wire for one in state or ()],
        query=query,
        tags=tag or (),
        collection=collection,
        page_size=min(limit, 200),
    )
    if folder is not None:
        place = find_place(folder, here=Path.cwd(), roots=reach.connection.roots, field="DIR")
        wanted.root, wanted.folder = place.root, place.path
    shown: list[Item] = []
    count = 0
    async with aclosing(reach.client.items(wanted)) as items:
        async for item in items:
            count += 1
            if reach.output.as_json:
                reach.output.document(item)
            else:
                shown.append(item)
            if count == limit:
                break
    if shown:
        reach.output.table(
            ("PATH", "KIND", "STATE", "SIZE>", "PIXELS>", "DURATION>", "FORMAT", "MADE", "REASON"),
            [_row(item) for item in shown],
        )
    elif not reach.output.as_json:
        reach.output.remark("No items.")
    return ExitCode.OK


@command(app, "show")
async def show_item(
    reach: Reach,
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="The item's id, or its file written as for `scan`.")
    ],
) -> ExitCode:
    """Show one item: its metadata and what was made from it."""
    found = await _find(reach, item)
    if reach.output.as_json:
        reach.output.document(found)
    else:
        reach.output.facts(_facts(reach, found))
    return ExitCode.OK


async def _find(reach: Reach, text: str) -> Item:
    try:
        item_id = check_id(text, "ITEM")
    except InvalidError:
        place = find_place(text, here=Path.cwd(), roots=reach.connection.roots, field="ITEM")
        return await reach.client.item_at(place.root, place.path)
    return await reach.client.item(item_id)


def _row(item: Item) -> tuple[str | Text, ...]:
    facts = item.facts
    return (
        f"{facts.root}:{facts.path}",
        kind_text(item),
        state_cell(item_state_text(item)),
        size_text(facts.size_bytes),
        f"{facts.width} x {facts.height}" if facts.width else "",
        duration_text(facts.duration_s) if facts.HasField("duration_s") else "",
        _format(item),
        ", ".join(derivative.facts.kind for derivative in item.derivatives),
        facts.reason,
    )


def _format(item: Item) -> str:
    codecs = "+".join(codec for codec in (item.facts.video_codec, item.facts.audio_codec) if codec)
    return f"{item.facts.format} ({codecs})" if codecs else item.facts.format


def _facts(reach: Reach, item: Item) -> list[tuple[str, str | Text]]:
    facts = item.facts
    updated_at = instant(item.updated_at)
    pairs: list[tuple[str, str | Text]] = [
        ("id", item.id),
        ("root", facts.root),
        ("path", facts.path),
        ("kind", kind_text(item)),
        ("state", state_cell(item_state_text(item))),
        ("reason", facts.reason),
        ("size", f"{size_text(facts.size_bytes)} ({facts.size_bytes:,} bytes)"),
        ("pixels", f"{facts.width} x {facts.height}" if facts.width else ""),
        ("rotation", f"{facts.rotation} degrees applied" if facts.rotation else ""),
        ("duration", duration_text(facts.duration_s) if facts.HasField("duration_s") else ""),
        ("format", facts.format),
        ("video codec", facts.video_codec),
        ("audio codec", facts.audio_codec),
        ("frame rate", f"{facts.frame_rate:g} per second" if facts.frame_rate else ""),
        ("bit rate", f"{facts.bitrate_kbps:,} kbit/s" if facts.bitrate_kbps else ""),
        ("pages", str(facts.pages or "")),
        ("public", "yes" if facts.public else ""),
        ("identity", facts.identity),
        ("further facts", facts.extra_json if facts.extra_json != "{}" else ""),
        ("updated", f"{rfc3339(item.updated_at)} ({ago_text(updated_at, reach.now)})" if updated_at else ""),
    ]
    pairs += _tags(item)
    pairs += [(derivative.facts.kind, _derivative_text(derivative)) for derivative in item.derivatives]
    return [(name, value) for name, value in pairs if value]


def _tags(item: Item) -> list[tuple[str, str | Text]]:
    """Return the tags of each source in a line; a score of 1 needs no saying."""
    lines: dict[str, list[str]] = {}
    for tag in item.tags:
        name = f"tags: {tag.source}" + (f" ({tag.computed_on})" if tag.computed_on else "")
        lines.setdefault(name, []).append(tag.name if tag.score == 1 else f"{tag.name} {tag.score:.2f}")
    return [(name, ", ".join(tags)) for name, tags in lines.items()]


def _derivative_text(derivative: Derivative) -> str:
    facts = derivative.facts
    parts = [
        facts.media_type,
        f"{facts.width} x {facts.height}" if facts.width else "",
        size_text(facts.size_bytes or len(facts.inline)),
        f"{facts.root}:{facts.path}" if facts.path else facts.inline.hex(),
    ]
    return ", ".join(part for part in parts if part)
