"""Makes still pictures of any media, all of one file from one decoding."""

import io
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from callsheet.media import kinds
from callsheet.media.facts import MediaLimits, fit_box, fit_width
from callsheet.media.faults import MediaFaultError
from callsheet.media.kinds import Family
from callsheet.media.outputs import PictureFormat
from callsheet.media.thumbhash import SIDE_LIMIT, thumbhash
from callsheet.worker.decode import container, document, moving, sound, still
from callsheet.worker.decode.probe import check_readable
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import Picture, RenderArguments, Rendered
from callsheet.worker.sandbox.work import Answer

Size = tuple[int, int]
_WAVEFORM_SIZE: Size = (1600, 800)
_OPTIONS: Final[Mapping[PictureFormat, Mapping[str, int]]] = {
    PictureFormat.WEBP: {"method": 3},
    PictureFormat.AVIF: {"speed": 8, "max_threads": 1},
}
"""How much effort the encoders make: little more time than JPEG takes."""


@dataclass(frozen=True, slots=True)
class _Original:
    """What pictures are made from: its upright size, and how to get its pixels at some size."""

    size: Size
    pixels: Callable[[Size], Image.Image]
    """Takes the largest size that is needed; may return more pixels, never another shape."""
    scales: bool = False
    """Whether its size is no limit, as that of a page."""
    hashed: bool = True


def render(arguments: RenderArguments, descriptors: Sequence[int]) -> Answer[Rendered]:
    """Make the pictures of the file behind the first descriptor."""
    source = Source(descriptors[0])
    identity = source.identity()
    family = kinds.sniff(source.head)
    try:
        check_readable(source, family)
        with _opened(source, family, arguments) as original:
            return _pictures(original, arguments, identity)
    except MediaFaultError as error:
        return Answer(value=Rendered(identity=identity, fault=error.fault))


@contextmanager
def _opened(source: Source, family: Family | None, arguments: RenderArguments) -> Generator[_Original]:
    limits = arguments.limits
    if family is not None and family in kinds.PICTURES:
        with still.opened_picture(source, family, limits) as image:
            size = still.upright_size(image)
            yield _Original(size, lambda needed: still.pixels(image, family, needed, source))
    elif family is Family.PDF:
        with document.opened_document(source, limits) as opened:
            yield _Original(
                document.page_size(opened),
                lambda needed: document.render_page(opened, max(needed)),
                scales=True,
                hashed=False,
            )
    else:
        with container.opened(source, family, limits) as media:
            yield _of_container(media, arguments.timestamp_s, limits)


def _of_container(media: container.Opened, timestamp_s: float | None, limits: MediaLimits) -> _Original:
    if media.video is None:
        return _Original(
            _WAVEFORM_SIZE, lambda needed: sound.waveform_picture(media, needed), scales=True, hashed=False
        )
    frame = moving.chosen_frame(media, timestamp_s, limits)
    return _Original(moving.displayed_size(frame, media), lambda needed: moving.picture(frame, needed))


def _pictures(original: _Original, arguments: RenderArguments, identity: str) -> Answer[Rendered]:
    sizes = [_target(original, picture) for picture in arguments.pictures]
    largest = max(sizes, key=lambda size: size[0] * size[1])
    master = original.pixels(largest)
    made: dict[Size, Image.Image] = {}
    for size in sorted(set(sizes), key=lambda one: -one[0] * one[1]):
        master = made[size] = _resized(master, size)
    blobs = tuple(
        _encoded(made[size], picture) for size, picture in zip(sizes, arguments.pictures, strict=True)
    )
    hashed = (
        _hash(made[min(sizes, key=lambda one: one[0] * one[1])])
        if arguments.hash_too and original.hashed
        else ""
    )
    return Answer(value=Rendered(identity=identity, sizes=tuple(sizes), thumbhash_hex=hashed), blobs=blobs)


def _target(original: _Original, picture: Picture) -> Size:
    width, height = original.size
    if picture.width is not None:
        return fit_width(width, height, picture.width)
    box = picture.box or max(width, height)
    if original.scales:
        factor = max(1, -(-box // max(width, height)))
        return fit_box(width * factor, height * factor, box)
    return fit_box(width, height, box)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    filtered = Image.Resampling.HAMMING if size[0] * 2 > image.width else Image.Resampling.LANCZOS
    return image.resize(size, filtered, reducing_gap=2.0)


def _encoded(image: Image.Image, picture: Picture) -> bytes:
    content = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.tobytes()) if image.info else image
    options = _OPTIONS.get(picture.format, {})
    bare.save(content, picture.format.value.upper(), quality=picture.quality, **options)
    return content.getvalue()


def _hash(image: Image.Image) -> str:
    small = image.resize(fit_box(image.width, image.height, SIDE_LIMIT), Image.Resampling.BOX)
    return thumbhash(np.asarray(small, dtype=np.uint8)).hex()
