"""What a file says of itself, and the limits that keep its reading cheap."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from callsheet.media.faults import unsupported
from callsheet.media.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """What is read at most; beyond it a file is unsupported."""

    pixels: int = 100_000_000
    """Pixels of a picture or video frame."""
    animation_pixels: int = 50_000_000
    """Pixels over the frames of an animation that are looked at; further frames are not counted."""
    streams: int = 32
    """Streams of a container."""
    duration_s: float = 86_400.0
    """Length."""
    pages: int = 10_000
    """Pages of a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """Sizes in pixels are upright: after rotation. Zero or empty where there is none."""

    kind: Kind
    format: str
    """The container or picture format."""
    width: int = 0
    height: int = 0
    duration_s: float | None = None
    video_codec: str = ""
    audio_codec: str = ""
    rotation: int = 0
    """Clockwise degrees that make it upright: 0, 90, 180, 270."""
    frame_rate: float = 0.0
    bitrate_kbps: int = 0
    pages: int = 0
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict[str, str | int | float | bool])
    """Further facts by name."""


def check_size(width: int, height: int, limits: MediaLimits) -> None:
    """Refuse a picture without area or beyond the limit, before any of it is decoded.

    Raises:
        MediaFaultError: It is out of bounds.
    """
    if width <= 0 or height <= 0:
        raise unsupported(f"its size is {width}x{height} pixels")
    if width * height > limits.pixels:
        raise unsupported(
            f"{width}x{height} is {width * height / 1e6:,.0f} megapixels; "
            f"the limit is {limits.pixels / 1e6:,.0f}"
        )


def check_streams(count: int, limits: MediaLimits) -> None:
    """Refuse a container with more streams than the limit.

    Raises:
        MediaFaultError: It has too many.
    """
    if count > limits.streams:
        raise unsupported(f"it has {count} streams; the limit is {limits.streams}")


def check_duration(duration_s: float, limits: MediaLimits) -> None:
    """Refuse what lasts longer than the limit.

    Raises:
        MediaFaultError: It is too long.
    """
    if duration_s > limits.duration_s:
        raise unsupported(f"it lasts {duration_s:,.0f} s; the limit is {limits.duration_s:,.0f} s")


def upright(width: int, height: int, rotation: int) -> tuple[int, int]:
    """Return the size after turning by *rotation* degrees, a multiple of 90."""
    return (height, width) if rotation % 180 else (width, height)


def fit_box(width: int, height: int, box: int) -> tuple[int, int]:
    """Return the largest size of the same shape in a square of *box* pixels; never enlarges."""
    scale = min(1.0, box / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_width(width: int, height: int, wanted: int) -> tuple[int, int]:
    """Return the size of the same shape that is *wanted* pixels wide, no more than 8192 high."""
    scale = min(wanted / width, 8192 / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
