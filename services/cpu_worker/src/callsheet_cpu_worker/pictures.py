"""Makes pictures of an item and publishes them: rendered in a child, checked here, then durable."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from callsheet.errors import AttemptError, BadInputError, TransientError
from callsheet.media.outputs import PictureFormat, picture_size
from callsheet.media.recipes import (
    PREVIEW_BOX,
    THUMBHASH_RECIPE,
    THUMBNAIL_BOX,
    box_recipe,
)
from callsheet.v1.library_service_pb2 import Derivative, DerivativeFacts, Item, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import RENDER, Picture, RenderArguments, Rendered
from callsheet.worker.item_facts import broken_mark
from callsheet.worker.processor import BrokenMediaError
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import derivative_path, publish
from callsheet.worker.threads import in_thread

ROOT: Final = "derivatives"
"""The root that derivatives lie in."""
DEADLINE_S: Final = 180.0
"""How long the pictures of one item may take."""
PAGE_CPU_S: Final = 10
"""CPU seconds that the pictures of a page may take: a few kilobytes can inflate to gigabytes of drawing."""
_QUALITY: Final = {PictureFormat.JPEG: 82, PictureFormat.WEBP: 78, PictureFormat.AVIF: 62}
THUMBHASH_LIMIT: Final = 25
"""Bytes of a thumbhash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One picture and what it is called."""

    kind: str
    folder: str
    recipe: str
    picture: Picture


def thumbnail(box: int = THUMBNAIL_BOX, made_as: PictureFormat = PictureFormat.JPEG) -> Wanted:
    """Return the thumbnail that fits a box."""
    picture = Picture(box=box, quality=_QUALITY[made_as], format=made_as)
    return Wanted(kind="thumbnail", folder="thumbnails", recipe=box_recipe(box, made_as), picture=picture)


def preview(made_as: PictureFormat = PictureFormat.JPEG) -> Wanted:
    """Return the preview."""
    picture = Picture(box=PREVIEW_BOX, quality=_QUALITY[made_as] + 3, format=made_as)
    return Wanted(kind="preview", folder="previews", recipe=box_recipe(PREVIEW_BOX, made_as), picture=picture)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile:
    """A file that was made of an item and checked."""

    kind: str
    folder: str
    recipe: str
    suffix: str
    """The end of its name, with its dot."""
    media_type: str
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels, where it has any."""
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The pictures of one item as a child made them, not yet published."""

    rendered: Rendered
    blobs: Sequence[bytes]


async def render(
    context: JobContext,
    item: Item,
    wanted: Sequence[Wanted],
    *,
    timestamp_s: float | None = None,
    hash_too: bool = False,
) -> Made:
    """Have a child make pictures of an item.

    Raises:
        BrokenMediaError: The file brought the decoder down.
        BadInputError: The file is gone or cannot be opened.
        AttemptError: As the pool raises it.
    """
    arguments = RenderArguments(
        pictures=tuple(one.picture for one in wanted), timestamp_s=timestamp_s, hash_too=hash_too
    )
    with await in_thread(
        lambda: context.roots.open_file(item.facts.root, item.facts.path), OpenedFile.close
    ) as file:
        try:
            answer = await context.children.run(
                RENDER,
                arguments,
                descriptors=[file.fd],
                deadline_s=DEADLINE_S,
                cpu_s=PAGE_CPU_S if item.facts.kind == MediaKind.MEDIA_KIND_DOCUMENT else None,
            )
        except BadInputError as error:
            broken = [broken_mark(item, error.message)]
            raise BrokenMediaError(f"{item.facts.path}: {error.message}", broken=broken) from error
    return Made(rendered=answer.value, blobs=answer.blobs)


async def publish_pictures(
    context: JobContext, item: Item, wanted: Sequence[Wanted], made: Made
) -> list[DerivativeFacts]:
    """Check the pictures, publish them, and return the rows that will point at them.

    Either all are published or none.

    Raises:
        TransientError: What the child made is not what was asked for.
        CapacityError: The disk is full.
    """
    return await publish_files(context, item, checked_files(wanted, made))


def checked_files(wanted: Sequence[Wanted], made: Made) -> list[DerivedFile]:
    """Return the pictures as files to publish.

    Raises:
        TransientError: What the child made is not what was asked for.
    """
    check(wanted, made)
    return [
        DerivedFile(
            kind=one.kind,
            folder=one.folder,
            recipe=one.recipe,
            suffix=one.picture.format.suffix,
            media_type=one.picture.format.media_type,
            size=size,
            content=blob,
        )
        for one, blob, size in zip(wanted, made.blobs, made.rendered.sizes, strict=True)
    ]


async def publish_files(
    context: JobContext, item: Item, files: Sequence[DerivedFile]
) -> list[DerivativeFacts]:
    """Publish files that were checked, all or none, and return the rows that will point at them.

    Raises:
        CapacityError: The disk is full.
    """
    rows: list[DerivativeFacts] = []
    try:
        for one in files:
            rows.append(_row(context, item, one))
            await publish(context.roots, ROOT, rows[-1].path, context.lease, one.content)
    except BaseException:
        await withdraw(context, rows)
        raise
    return rows


async def withdraw(context: JobContext, rows: Sequence[DerivativeFacts]) -> None:
    """Remove files that were published but that no row will point at."""
    for row in rows:
        if row.path:
            try:
                await in_thread(partial(context.roots.remove, row.root, row.path))
            except AttemptError as error:
                context.report.log(f"{row.root}/{row.path} could not be removed: {error.message}")


def check(wanted: Sequence[Wanted], made: Made) -> None:
    """Refuse pictures that are not whole files of the format and size that was said and asked for.

    Raises:
        TransientError: One is not.
    """
    if not len(wanted) == len(made.blobs) == len(made.rendered.sizes):
        raise TransientError(f"{len(wanted)} pictures were wanted, {len(made.blobs)} came")
    for one, blob, said in zip(wanted, made.blobs, made.rendered.sizes, strict=True):
        size = picture_size(blob, one.picture.format)
        if size is None or size != tuple(said):
            name = one.picture.format.value.upper()
            raise TransientError(
                f"the {one.kind} that was made is no whole {name} of {said[0]}x{said[1]} pixels"
            )
        if one.picture.box is not None and max(size) > one.picture.box:
            raise TransientError(f"the {one.kind} that was made is larger than {one.picture.box} pixels")


def hash_row(item: Item, thumbhash_hex: str) -> DerivativeFacts | None:
    """Return the row of a thumbhash; None where there is none."""
    content = bytes.fromhex(thumbhash_hex)
    if not 0 < len(content) <= THUMBHASH_LIMIT:
        return None
    return DerivativeFacts(
        item_id=item.id,
        kind="thumbhash",
        recipe=THUMBHASH_RECIPE,
        source_identity=item.facts.identity,
        media_type="application/octet-stream",
        size_bytes=len(content),
        inline=content,
    )


def is_current(item: Item, derivative: Derivative, kind: str, recipe: str) -> bool:
    """Say whether a derivative is of this kind and recipe and made from the item's present content."""
    facts = derivative.facts
    return facts.kind == kind and facts.recipe == recipe and facts.source_identity == item.facts.identity


def has_current(item: Item, kind: str, recipe: str) -> bool:
    """Say whether an item has such a derivative."""
    return any(is_current(item, derivative, kind, recipe) for derivative in item.derivatives)


def _row(context: JobContext, item: Item, made: DerivedFile) -> DerivativeFacts:
    return DerivativeFacts(
        item_id=item.id,
        kind=made.kind,
        recipe=made.recipe,
        source_identity=item.facts.identity,
        root=ROOT,
        path=derivative_path(made.folder, item.id, made.recipe, context.lease.file_tag, made.suffix),
        media_type=made.media_type,
        width=made.size[0],
        height=made.size[1],
        size_bytes=len(made.content),
    )
