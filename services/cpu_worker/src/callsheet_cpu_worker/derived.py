"""Makes what is wanted of one item, of all kinds: what is there already is left alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from callsheet.errors import BadInputError, TransientError
from callsheet.media.faults import Fault
from callsheet.media.outputs import PictureFormat, jpeg_size, png_size
from callsheet.media.recipes import (
    PEAKS_RECIPE,
    SPRITE_RECIPE,
    SPRITE_TRACK_RECIPE,
    THUMBNAIL_BOX,
    WAVEFORM_RECIPE,
)
from callsheet.media.sprites import track
from callsheet.params import USUAL_KINDS, DerivativeKind
from callsheet.v1.library_service_pb2 import DerivativeFacts, Item, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import (
    SHEET,
    WAVEFORM,
    SheetArguments,
    SheetMade,
    WaveformArguments,
    WaveformMade,
)
from callsheet.worker.processor import BrokenMediaError
from callsheet.worker.sandbox.work import Answer, ArgumentsT, ResultT, Work, codec
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread
from callsheet_cpu_worker import pictures
from callsheet_cpu_worker.pictures import DerivedFile, Wanted

DEADLINE_S: Final = 600.0
"""How long a waveform or a sheet may take."""
SPRITE_ADDRESS: Final = "sprite"
"""Where the sheet is, seen from its track: REST has both below the item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of items."""

    pictures: Sequence[Wanted]
    waveform: bool = False
    sprite: bool = False

    @property
    def hashed(self) -> bool:
        """Whether the thumbhash is wanted: it comes with the thumbnail."""
        return any(one.kind == "thumbnail" for one in self.pictures)

    def __bool__(self) -> bool:
        return bool(self.pictures) or self.waveform or self.sprite


@dataclass(slots=True, kw_only=True)
class Made:
    """What was made of one item and checked, not yet published."""

    files: list[DerivedFile] = field(default_factory=list[DerivedFile])
    rows: list[DerivativeFacts] = field(default_factory=list[DerivativeFacts])
    """Of derivatives that lie in their rows."""
    missed: list[str] = field(default_factory=list[str])
    """Why anything was not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peaks:
    """What peaks must hold to be whole."""

    length: int
    data: list[int]


class ChangedError(BadInputError):
    """The file is another one than the library knows."""


class FaultError(BadInputError):
    """The file cannot be used for what is wanted."""


def wish_of(
    kinds: Collection[DerivativeKind] = USUAL_KINDS,
    boxes: Sequence[int] = (THUMBNAIL_BOX,),
    made_as: PictureFormat = PictureFormat.JPEG,
) -> Wish:
    """Return the wish for *kinds*; thumbnails in each of *boxes*, pictures in the format *made_as*."""
    wanted: list[Wanted] = []
    if DerivativeKind.THUMBNAIL in kinds:
        wanted += [pictures.thumbnail(box, made_as) for box in dict.fromkeys(boxes)]
    if DerivativeKind.PREVIEW in kinds:
        wanted.append(pictures.preview(made_as))
    return Wish(
        pictures=wanted,
        waveform=DerivativeKind.WAVEFORM in kinds,
        sprite=DerivativeKind.SPRITE in kinds,
    )


def lacking(item: Item, wish: Wish, *, force: bool = False) -> Wish:
    """Return the part of a wish that an item has not yet, as far as it makes sense for its kind."""
    facts = item.facts
    recording = facts.kind == MediaKind.MEDIA_KIND_AUDIO
    film = facts.kind == MediaKind.MEDIA_KIND_VIDEO
    wish = replace(wish, waveform=wish.waveform and recording, sprite=wish.sprite and film)
    if force:
        return wish
    there = {
        (one.facts.kind, one.facts.recipe)
        for one in item.derivatives
        if one.facts.source_identity == facts.identity
    }
    return Wish(
        pictures=[one for one in wish.pictures if (one.kind, one.recipe) not in there],
        waveform=wish.waveform and not {("waveform", WAVEFORM_RECIPE), ("peaks", PEAKS_RECIPE)} <= there,
        sprite=wish.sprite
        and not {("sprite", SPRITE_RECIPE), ("sprite_track", SPRITE_TRACK_RECIPE)} <= there,
    )


async def make(context: JobContext, item: Item, wish: Wish) -> Made:
    """Make what is wished for, not yet published.

    A file that has pictures but whose waveform or sheet cannot be made is no broken file.

    Raises:
        FaultError: The file cannot be used.
        ChangedError: The file is not the one that the library knows.
        BrokenMediaError: The file brought the decoder down.
        BadInputError: The file is gone or cannot be opened.
        AttemptError: As the pool raises it.
    """
    made = await _still(context, item, wish) if wish.pictures else Made()
    for wanted, name, made_by in (
        (wish.waveform, "waveform", _waveform),
        (wish.sprite, "sheet for scrubbing", _sprite),
    ):
        if wanted:
            try:
                made.files += await made_by(context, item)
            except (FaultError, BrokenMediaError) as error:
                made.missed.append(f"no {name}: {error.message}")
    return made


async def _still(context: JobContext, item: Item, wish: Wish) -> Made:
    made = await pictures.render(context, item, wish.pictures, hash_too=wish.hashed)
    _check(item, made.rendered.identity, made.rendered.fault)
    hashed = pictures.hash_row(item, made.rendered.thumbhash_hex)
    return Made(files=pictures.checked_files(wish.pictures, made), rows=[hashed] if hashed else [])


async def _waveform(context: JobContext, item: Item) -> list[DerivedFile]:
    answer: Answer[WaveformMade] = await _run(context, item, WAVEFORM, WaveformArguments())
    _check(item, answer.value.identity, answer.value.fault)
    peaks, picture = answer.blobs if len(answer.blobs) == 2 else (b"", b"")  # noqa: PLR2004 -- peaks and picture
    size = png_size(picture)
    if size is None or not _is_peaks(peaks):
        raise TransientError("the waveform that was made is not whole")
    return [
        DerivedFile(
            kind="peaks",
            folder="waveforms",
            recipe=PEAKS_RECIPE,
            suffix=".json",
            media_type="application/json",
            content=peaks,
        ),
        DerivedFile(
            kind="waveform",
            folder="waveforms",
            recipe=WAVEFORM_RECIPE,
            suffix=".png",
            media_type="image/png",
            size=size,
            content=picture,
        ),
    ]


async def _sprite(context: JobContext, item: Item) -> list[DerivedFile]:
    answer: Answer[SheetMade] = await _run(context, item, SHEET, SheetArguments())
    _check(item, answer.value.identity, answer.value.fault)
    sheet, picture = answer.value.sheet, next(iter(answer.blobs), b"")
    if sheet is None or jpeg_size(picture) != sheet.size:
        raise TransientError("the sheet that was made is not whole")
    return [
        DerivedFile(
            kind="sprite",
            folder="sprites",
            recipe=SPRITE_RECIPE,
            suffix=".jpg",
            media_type="image/jpeg",
            size=sheet.size,
            content=picture,
        ),
        DerivedFile(
            kind="sprite_track",
            folder="sprites",
            recipe=SPRITE_TRACK_RECIPE,
            suffix=".vtt",
            media_type="text/vtt",
            content=track(sheet, SPRITE_ADDRESS).encode(),
        ),
    ]


async def _run(
    context: JobContext, item: Item, work: Work[ArgumentsT, ResultT], arguments: ArgumentsT
) -> Answer[ResultT]:
    with await in_thread(
        lambda: context.roots.open_file(item.facts.root, item.facts.path), OpenedFile.close
    ) as file:
        try:
            return await context.children.run(work, arguments, descriptors=[file.fd], deadline_s=DEADLINE_S)
        except BadInputError as error:
            raise BrokenMediaError(error.message) from error


def _check(item: Item, identity: str, fault: Fault | None) -> None:
    if identity != item.facts.identity:
        raise ChangedError("it changed since it was scanned; scan its folder again")
    if fault is not None:
        raise FaultError(fault.reason)


def _is_peaks(content: bytes) -> bool:
    try:
        said = codec(_Peaks).validate_json(content)
    except ValueError:
        return False
    return said.length > 0 and len(said.data) == said.length * 2
