"""Reads pictures by Pillow: facts from the header, pixels upright in sRGB."""

import io
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from operator import methodcaller
from typing import Final, cast

import numpy as np
import pillow_heif
from av import CodecContext, Packet
from av.error import FFmpegError, InvalidDataError
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from PIL._imagingcms import createProfile

from callsheet.media.facts import MediaFacts, MediaLimits, check_size, upright
from callsheet.media.faults import truncated, undecodable
from callsheet.media.kinds import Family, Kind
from callsheet.worker.decode.source import Source

pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1
Image.init()
Image.MAX_IMAGE_PIXELS = None  # check_size does it, with our limit and our words

_ROTATIONS: Final = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FAULTS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_TEXT_LIMIT: Final = 100
_NO_DATA: Final = 128
_PNG_METADATA: Final = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
"""Chunks that can tell which way is up: EXIF, XMP, and EXIF as text."""
_EXIF_IN_PNG: Final = frozenset({"exif", "Raw profile type exif"})
"""As Pillow names it, once it has read a chunk that holds it."""
_PNG_TAIL_BYTES: Final = 64 * 1024
_SRGB: Final = ImageCms.ImageCmsProfile(createProfile("sRGB", 0))
_SIXTEEN_BIT: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})


@contextmanager
def opened_picture(source: Source, family: Family, limits: MediaLimits) -> Generator[Image.Image]:
    """Open a picture by its header, and check its size against the limits.

    Raises:
        MediaFaultError: It cannot be read, is truncated, or is beyond a limit.
    """
    with picture_errors(family):
        image = Image.open(cast("io.BytesIO", source.stream()), formats=(family.value,))
        with image:
            check_size(image.width, image.height, limits)
            if family is Family.PNG and not _EXIF_IN_PNG & image.info.keys() and not _more_at_the_end(source):
                image.info["exif"] = b""  # Pillow would decode the pixels to look behind them
            yield image


@contextmanager
def picture_errors(family: Family) -> Generator[None]:
    """Turn the errors of picture readers into faults; memory that ran out is no fault of the file."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise undecodable(f"no {family} picture can be read from it") from error
    except _FAULTS as error:
        said = str(error)[:200] or type(error).__name__
        if "truncated" in said.lower() or "premature end" in said.lower():
            raise truncated(f"the picture ends early ({said})") from error
        raise undecodable(f"the {family} picture is damaged ({said})") from error


def picture_facts(image: Image.Image, family: Family, limits: MediaLimits) -> MediaFacts:
    """Return the facts of an open picture; of an animation also how long it runs."""
    rotation = _ROTATIONS.get(orientation(image), 0)
    width, height = upright(image.width, image.height, rotation)
    duration_s, extra = _animation(image, limits)
    return MediaFacts(
        kind=Kind.IMAGE,
        format=family.value,
        width=width,
        height=height,
        duration_s=duration_s,
        rotation=rotation,
        extra={**_camera(image), **extra},
    )


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it makes no sense."""
    with suppress(*_FAULTS):
        value: object = image.getexif().get(ExifTags.Base.Orientation, 1)
        if isinstance(value, int) and 1 <= value <= 8:  # noqa: PLR2004 -- the eight that EXIF has
            return value
    return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the size that the picture has when it is upright."""
    return upright(image.width, image.height, _ROTATIONS.get(orientation(image), 0))


def pixels(image: Image.Image, family: Family, needed: tuple[int, int], source: Source) -> Image.Image:
    """Decode an open picture: upright, sRGB, on white where it is clear, without metadata.

    Args:
        image: As `opened_picture` gave it; its pixels are used up.
        family: Its format, for messages.
        needed: Width and height, upright, below which it need not be reduced.
        source: What it was opened from.

    Raises:
        MediaFaultError: The pixels cannot be decoded, or end early.
    """
    with picture_errors(family):
        turn = orientation(image)
        profile = image.info.get("icc_profile")
        wanted = (needed[1], needed[0]) if _ROTATIONS.get(turn, 0) % 180 else needed
        image.draft("RGB", wanted)
        image.load()
        if family is Family.JPEG and _ends_in_grey(image) and ends_early(source):
            raise truncated("its data ends before the picture does")
        plain = _eight_bit(image)
        factor = min(plain.width // (wanted[0] * 2), plain.height // (wanted[1] * 2))
        if factor > 1:
            plain = plain.reduce(factor)
        return _on_white(_turned(plain, turn), profile if isinstance(profile, bytes) else None)


def ends_early(source: Source) -> bool:
    """Say whether the data of a JPEG ends within one of its scans, which libjpeg passes over in silence."""
    content = source.read_at(0, source.size_bytes)
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    decoder.thread_count = 1
    try:
        methodcaller("decode", Packet(content))(decoder)  # whose stub leaves the packet's type open
    except InvalidDataError:
        return True
    except FFmpegError:
        return False  # a kind of JPEG that it does not know
    return False


def _ends_in_grey(image: Image.Image) -> bool:
    """Say whether the last row is what libjpeg puts where there was no data."""
    if image.mode not in {"L", "RGB"}:
        return False
    row = image.crop((0, image.height - 1, image.width, image.height))
    return row.getcolors(1) in ([(image.width, _NO_DATA)], [(image.width, (_NO_DATA,) * 3)])


def _more_at_the_end(source: Source) -> bool:
    """Say whether a PNG may have metadata behind its pixels."""
    start = max(0, source.size_bytes - _PNG_TAIL_BYTES)
    tail = source.read_at(start, source.size_bytes - start)
    return any(name in tail for name in _PNG_METADATA)


def _turned(image: Image.Image, turn: int) -> Image.Image:
    method = _TURNS.get(turn)
    return image if method is None else image.transpose(method)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture in a mode of eight bits a channel that can be resampled."""
    if image.mode == "F":
        return _of_floats(image)
    if image.mode in _SIXTEEN_BIT:
        return image.convert("I").point(lambda value: value * (1 / 257) + 0).convert("L")
    if image.mode in {"P", "PA"} or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"}:
        return image.copy() if image.readonly else image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _of_floats(image: Image.Image) -> Image.Image:
    """Return a picture of real numbers as grey: those from 0 to 1 as they are, others from least to most."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    least, most = float(values.min(initial=0.0)), float(values.max(initial=1.0))
    return Image.fromarray(((values - least) * (255.0 / (most - least)) + 0.5).astype(np.uint8))


def _on_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    colour = image.convert("RGB" if image.mode == "RGBA" else "L") if alpha is not None else image
    rgb = _to_srgb(colour, profile)
    if alpha is None:
        return rgb
    white = Image.new("RGB", rgb.size, (255, 255, 255))
    white.paste(rgb, mask=alpha)
    return white


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        with suppress(ImageCms.PyCMSError, *_FAULTS):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(given):
                turned = ImageCms.profileToProfile(image, given, _SRGB, outputMode="RGB")
                if turned is not None:
                    return turned
    return image if image.mode == "RGB" else image.convert("RGB")


def _animation(
    image: Image.Image, limits: MediaLimits
) -> tuple[float | None, dict[str, str | int | float | bool]]:
    """Return how long an animation runs, and its frames, as far as the limit lets them be looked at."""
    if not getattr(image, "is_animated", False) or image.format == "MPO":
        return None, {}
    most = max(1, limits.animation_pixels // (image.width * image.height))
    frames, duration_ms, whole = 0, 0.0, True
    while whole and frames < most:
        try:
            image.seek(frames)
        except EOFError:
            break
        except _FAULTS:
            whole = False
            continue
        duration_ms += float(image.info.get("duration", 0) or 0)
        frames += 1
    else:
        whole = False
    return duration_ms / 1000 or None, {"frames": frames, "framesCounted": whole}


def _camera(image: Image.Image) -> dict[str, str | int | float | bool]:
    """Return who made the picture and when, as far as EXIF says so in print."""
    found: dict[str, str | int | float | bool] = {}
    with suppress(*_FAULTS):
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for key, value in (
            ("cameraMake", exif.get(ExifTags.Base.Make)),
            ("cameraModel", exif.get(ExifTags.Base.Model)),
            ("takenAt", details.get(ExifTags.Base.DateTimeOriginal)),
        ):
            text = value.strip("\0 \t\r\n") if isinstance(value, str) else ""
            if text and text.isprintable():
                found[key] = text[:_TEXT_LIMIT]
    return found
