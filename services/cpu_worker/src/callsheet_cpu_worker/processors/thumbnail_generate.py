"""Makes one still picture of an item, at an instant and of a width where they are given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Never

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import THUMBNAIL_GENERATE
from callsheet.errors import BadInputError
from callsheet.media.recipes import THUMBNAIL_BOX, still_recipe
from callsheet.params import ThumbnailGenerateParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import DerivativeFacts, Item, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import Picture
from callsheet.worker.item_facts import broken_mark
from callsheet.worker.processor import BrokenMediaError, Outcome, Processor
from callsheet.worker.sources import one_item
from callsheet_cpu_worker import derived, pictures

_KIND: Final = "thumbnail"
_PAST_END_S: Final = 0.5


class ThumbnailGenerate(Processor[ThumbnailGenerateParams]):
    """Publishes a derivative whose recipe names the parameters."""

    job_type = THUMBNAIL_GENERATE

    @override
    async def process(self, params: ThumbnailGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BrokenMediaError: The file cannot be decoded; the item is marked with the reason.
            BadInputError: There is no such item, its file is gone or changed, or there is no picture
                at that instant.
        """
        item = await one_item(context, str(params.video_id))
        _check_instant(item, params.timestamp)
        if params.sprite and item.facts.kind != MediaKind.MEDIA_KIND_VIDEO:
            raise BadInputError(f"sprite: {item.facts.path} is no video; leave it out")
        still = await _still(context, item, params)
        outcome = await _with_sheet(context, item, still) if params.sprite else still
        context.report.progress(100)
        return outcome


async def _still(context: JobContext, item: Item, params: ThumbnailGenerateParams) -> Outcome:
    recipe = still_recipe(params.timestamp, params.width)
    for derivative in item.derivatives:
        if pictures.is_current(item, derivative, _KIND, recipe):
            context.report.log("The same picture of the same file is there already.")
            return Outcome(result=_result(derivative.facts, cached=True))
    return await _make(context, item, params, recipe)


async def _with_sheet(context: JobContext, item: Item, still: Outcome) -> Outcome:
    """Add the sheet for scrubbing to an outcome, where the item has none.

    Raises:
        BadInputError: The item is no video, or no sheet can be made of it.
    """
    wanted = derived.lacking(item, derived.Wish(pictures=(), sprite=True))
    context.report.progress(50)
    context.report.log("Making the sheet for scrubbing, where there is none.")
    try:
        made = await derived.make(context, item, wanted)
        rows = await pictures.publish_files(context, item, made.files)
    except BaseException:
        await pictures.withdraw(context, still.derivatives)
        raise
    if made.missed:
        await pictures.withdraw(context, still.derivatives)
        raise BadInputError(f"sprite: {item.facts.path}: {made.missed[0]}")
    context.report.log("A sheet for scrubbing was made." if rows else "The sheet for scrubbing was there.")
    return replace(still, derivatives=[*still.derivatives, *rows])


async def _make(context: JobContext, item: Item, params: ThumbnailGenerateParams, recipe: str) -> Outcome:
    picture = Picture(width=params.width) if params.width else Picture(box=THUMBNAIL_BOX)
    wanted = [pictures.Wanted(kind=_KIND, folder="thumbnails", recipe=recipe, picture=picture)]
    where = plain_line(f"{item.facts.root}/{item.facts.path}")
    context.report.log(f"Making a picture of {where} ({recipe}).")
    made = await pictures.render(context, item, wanted, timestamp_s=params.timestamp)
    if made.rendered.identity != item.facts.identity:
        raise BadInputError(
            f"{item.facts.path}: the file changed since it was scanned; scan its folder again"
        )
    if made.rendered.fault is not None:
        await _refuse(context, item, wanted, made.rendered.fault.reason, params.timestamp)
    rows = await pictures.publish_pictures(context, item, wanted, made)
    context.report.log(
        f"{rows[0].width}x{rows[0].height} pixels, {rows[0].size_bytes:,} bytes: {rows[0].path}"
    )
    return Outcome(result=_result(rows[0], cached=False), derivatives=rows)


async def _refuse(
    context: JobContext, item: Item, wanted: Sequence[pictures.Wanted], reason: str, timestamp_s: float | None
) -> Never:
    """Fail: because of the instant where the file has a picture elsewhere, else because of the file.

    Raises:
        BadInputError: Always.
    """
    path = item.facts.path
    if timestamp_s is not None:
        elsewhere = await pictures.render(context, item, wanted)
        if elsewhere.rendered.fault is None:
            raise BadInputError(f"timestamp: there is no picture at {timestamp_s:g} s of {path}: {reason}")
        reason = elsewhere.rendered.fault.reason
    raise BrokenMediaError(f"{path}: {reason}", broken=[broken_mark(item, reason)])


def _check_instant(item: Item, timestamp_s: float | None) -> None:
    if timestamp_s is None:
        return
    if item.facts.kind != MediaKind.MEDIA_KIND_VIDEO:
        raise BadInputError(f"timestamp: {item.facts.path} is no video; leave it out")
    if item.facts.HasField("duration_s") and timestamp_s > item.facts.duration_s + _PAST_END_S:
        raise BadInputError(
            f"timestamp: {timestamp_s:g} s is beyond the end of {item.facts.path}, "
            f"which lasts {item.facts.duration_s:.1f} s"
        )


def _result(row: DerivativeFacts, *, cached: bool) -> dict[str, JsonValue]:
    return {
        "thumbnailPath": row.path,
        "root": row.root,
        "width": row.width,
        "height": row.height,
        "sizeBytes": row.size_bytes,
        "recipe": row.recipe,
        "cached": cached,
    }
