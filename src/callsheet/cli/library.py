"""``callsheet library``: list and show items."""

from typing import Annotated

import typer

from callsheet.cli.connection import place_of
from callsheet.cli.options import Json, Options, options_of
from callsheet.cli.run import run
from callsheet.cli.show import duration, instant, item_state, kind, print_json, size, table
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1.library_service_pb2 import Item, ItemState, ListItemsRequest, MediaKind

app = typer.Typer(no_args_is_help=True, help="See the library.")


@app.command("list")
def list_items(
    context: typer.Context,
    *,
    media_kind: Annotated[
        list[str] | None, typer.Option("--kind", help="image, video, audio, document")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="ok, broken, missing")] = None,
    query: Annotated[str, typer.Option(help="A part of the path.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 1000,
    json_out: Json = False,
) -> None:
    """List items by path."""
    run(_list(options_of(context), media_kind or [], state or [], query, limit, json_out=json_out))


async def _list(
    options: Options,
    kinds: list[str],
    states: list[str],
    query: str,
    limit: int,
    *,
    json_out: bool,
) -> None:
    request = ListItemsRequest(
        kinds=[
            MediaKind.ValueType(_value(MediaKind.items(), "MEDIA_KIND_", name, "--kind")) for name in kinds
        ],
        states=[
            ItemState.ValueType(_value(ItemState.items(), "ITEM_STATE_", name, "--state")) for name in states
        ],
        query=query,
        page_size=min(limit, 1000),
    )
    items: list[Item] = []
    async with options.connection().client() as client:
        async for item in client.all_items(request):
            items.append(item)
            if len(items) >= limit:
                break
    if json_out:
        for item in items:
            print_json(item)
        return
    table(
        ("PATH", "KIND", "STATE", "SIZE", "PIXELS", "DURATION", "FORMAT", "CODECS", "REASON"),
        (_row(item) for item in items),
    )


def _row(item: Item) -> tuple[str, ...]:
    facts = item.facts
    return (
        facts.path,
        kind(item),
        item_state(item),
        size(facts.size_bytes),
        f"{facts.width}x{facts.height}" if facts.width else "",
        duration(facts.duration_s) if facts.HasField("duration_s") else "",
        facts.format,
        " ".join(filter(None, (facts.video_codec, facts.audio_codec))),
        facts.reason,
    )


@app.command()
def show(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Its id, ROOT:path, or a path.")],
    *,
    json_out: Json = False,
) -> None:
    """Show everything about one item."""
    run(_show(options_of(context), item, json_out=json_out))


async def _show(options: Options, name: str, *, json_out: bool) -> None:
    connection = options.connection()
    async with connection.client() as client:
        try:
            item = await client.item(item_id=check_id(name, "ITEM"))
        except InvalidError:
            root, path = place_of(name, connection.roots)
            item = await client.item(root=root, path=path)
    if json_out:
        print_json(item)
        return
    facts = item.facts
    rows = [
        ("id", item.id),
        ("path", f"{facts.root}:{facts.path}"),
        ("kind", kind(item)),
        ("state", item_state(item)),
        ("reason", facts.reason),
        ("size", size(facts.size_bytes)),
        ("pixels", f"{facts.width}x{facts.height}" if facts.width else ""),
        ("rotated by", f"{facts.rotation}°" if facts.rotation else ""),
        ("duration", duration(facts.duration_s) if facts.HasField("duration_s") else ""),
        ("frame rate", f"{facts.frame_rate:g}" if facts.frame_rate else ""),
        ("bitrate", f"{facts.bitrate_kbps} kb/s" if facts.bitrate_kbps else ""),
        ("format", facts.format),
        ("video codec", facts.video_codec),
        ("audio codec", facts.audio_codec),
        ("pages", str(facts.pages or "")),
        ("seen", instant(item.created_at)),
    ]
    rows += [
        (
            derivative.facts.kind,
            f"{derivative.facts.width}x{derivative.facts.height} {size(derivative.facts.size_bytes)} "
            f"{derivative.facts.root}:{derivative.facts.path}",
        )
        for derivative in item.derivatives
    ]
    table(("", ""), (row for row in rows if row[1]))


def _value(known: list[tuple[str, int]], prefix: str, name: str, field: str) -> int:
    values = {key.removeprefix(prefix).lower(): value for key, value in known if value}
    if name not in values:
        message = f"{name!r} is not known; known are {', '.join(values)}"
        raise InvalidError(message, field=field)
    return values[name]
