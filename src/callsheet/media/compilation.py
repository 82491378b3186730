"""Plans a compilation: which videos, in one shape and clock, with a chapter for each. Values alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from typing import Final

from callsheet.media.encoders import Encoder, h264_options
from callsheet.media.recipes import recipe_of
from callsheet.media.streaming import AUDIO_KBPS, GOP_S, LONG_SIDE_MAX, tone_map_filters
from callsheet.media.survey import Survey, VideoTrack

RATE: Final = 30
"""Frames per second of every clip."""
SAMPLE_RATE: Final = 48_000
SIZES: Final = {
    "any": (1280, 720),
    "landscape": (1280, 720),
    "portrait": (720, 1280),
    "square": (720, 720),
}
"""Of the compilation, by the orientation that is asked for; other shapes get black bars."""
MAXRATE_KBPS: Final = 4000
"""Of what is 720 pixels on its short side."""
FULL_MAXRATE_KBPS: Final = 8000
"""Of what is larger."""
SHORT_SIDE: Final = 720
"""Pixels of the shorter side of a reel in the shape of its only source."""
_CRF: Final = 21
_RATES: Final = tuple(
    Fraction(*rate)
    for rate in (
        (10, 1), (12, 1), (15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1),
        (60000, 1001), (60, 1),
    )
)  # fmt: skip
_NEAR: Final = 0.005
_BT601: Final = frozenset({5, 6})
_BT709: Final = 1
_BT2020: Final = frozenset({9, 10})
_HD_ROWS: Final = 720
_ESCAPED: Final = str.maketrans({mark: f"\\{mark}" for mark in "=;#\\\n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A video that could be taken."""

    item_id: str
    duration_s: float
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationWish:
    """What somebody asks for."""

    count: int = 10
    min_duration_s: float = 0.0
    max_duration_s: float = 86_400.0
    orientation: str = "any"
    clip_s: float | None = None
    """What is taken of each video, from its middle; None for all of it."""
    seed: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the compilation."""
        return SIZES[self.orientation]

    def recipe(self, identities: Sequence[str]) -> str:
        """Name the wish and what was chosen: the same of the same gives the same compilation."""
        width, height = self.size
        return recipe_of(
            "compilation", {"width": width, "height": height, "clip": self.clip_s, "of": list(identities)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A part of a video in the clock of what it becomes a part of."""

    start_s: float
    frames: int
    rate: Fraction = Fraction(RATE)
    """Frames per second; the same for all clips that are joined."""

    @property
    def length_s(self) -> Fraction:
        """Exactly its frames."""
        return self.frames / self.rate

    @property
    def duration_s(self) -> float:
        """The same, rounded."""
        return float(self.length_s)


def choose(candidates: Sequence[Candidate], wish: CompilationWish) -> list[Candidate]:
    """Return up to *count* of those that fit, in an order that the seed alone decides."""
    fitting = [one for one in candidates if _fits(one, wish)]
    shuffled = sorted(fitting, key=lambda one: blake2b(f"{wish.seed}\n{one.item_id}".encode()).digest())
    return shuffled[: wish.count]


def clip_of(survey: Survey, wish: CompilationWish) -> Clip:
    """Return what is taken of a video: whole frames, at least one."""
    length_s = survey.duration_s if wish.clip_s is None else min(wish.clip_s, survey.duration_s)
    start_s = max(0.0, (survey.duration_s - length_s) / 2) if wish.clip_s is not None else 0.0
    return Clip(start_s=round(start_s, 3), frames=max(1, int(length_s * RATE)))


def own_size(video: VideoTrack, short_side: int = SHORT_SIDE) -> tuple[int, int]:
    """Return the even size of a reel in the shape of its only source; nothing is enlarged."""
    scale = min(
        1.0, short_side / min(video.width, video.height), LONG_SIDE_MAX / max(video.width, video.height)
    )
    return max(2, round(video.width * scale / 2) * 2), max(2, round(video.height * scale / 2) * 2)


def own_rate(video: VideoTrack) -> Fraction:
    """Return the even rate of a reel of one source: the source's where that is a usual one, else 30."""
    nearest = min(_RATES, key=lambda rate: abs(float(rate) - video.frame_rate))
    return nearest if abs(float(nearest) / (video.frame_rate or 1) - 1) < _NEAR else Fraction(RATE)


def part_of(survey: Survey, start_s: float, length_s: float, rate: Fraction) -> Clip:
    """Return a part of a video as whole frames, at least one, that end with its pictures."""
    room_s = max(0.0, pictures_end_s(survey) - start_s)
    return Clip(
        start_s=round(start_s, 3), frames=max(1, min(round(length_s * rate), int(room_s * rate))), rate=rate
    )


def pictures_end_s(survey: Survey) -> float:
    """Return when the last picture of a video ends; its sound may go on."""
    video = survey.video
    return survey.duration_s if video is None else min(survey.duration_s, video.start_s + video.duration_s)


def clip_filters(video: VideoTrack, size: tuple[int, int], rate: Fraction = Fraction(RATE)) -> list[str]:
    """Return the filters that put frames into the middle of *size*, at an even rate, without end."""
    width, height = fitted(video.width, video.height, size)
    return [
        *(["bwdif=deint=interlaced"] if video.interlaced else []),
        f"scale={width}:{height}:flags=bicubic:out_range=tv{_matrix(video)}",
        f"pad={size[0]}:{size[1]}:(ow-iw)/2:(oh-ih)/2",
        "setsar=1",
        *(tone_map_filters() if video.hdr else []),
        "format=yuv420p",
        f"fps={rate}:start_time=0",
        "tpad=stop=-1:stop_mode=clone",
    ]


def clip_options(clip: Clip, encoder: Encoder, maxrate_kbps: int = MAXRATE_KBPS) -> dict[str, str | float]:
    """Return the options of a clip: its sound is kept lossless, so that joining leaves no gap."""
    return {
        **h264_options(encoder, preset="medium", crf=_CRF, maxrate_kbps=maxrate_kbps, gop_s=GOP_S),
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "c:a": "pcm_s16le",
        "ac": 2,
        "ar": SAMPLE_RATE,
        "af": "aresample=async=1000:first_pts=0,apad",
        "t": f"{clip.duration_s:.6f}",
        "f": "mov",
        "map_metadata": -1,
        "map_chapters": -1,
    }


def joined_options() -> dict[str, str | float]:
    """Return the options of a joined compilation."""
    return {
        "c:v": "copy",
        "c:a": "aac",
        "b:a": f"{AUDIO_KBPS}k",
        "f": "mp4",
        "movflags": "+faststart",
    }


def fitted(width: int, height: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the largest even size of the same shape within *size*."""
    scale = min(size[0] / width, size[1] / height)
    across, down = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return min(across, size[0]), min(down, size[1])


def chapters(clips: Sequence[tuple[str, Clip]]) -> str:
    """Return a chapter for each clip, by its title.

    Source:
        FFmpeg's documentation of the format ``ffmetadata``.
    """
    lines, at = [";FFMETADATA1"], 0
    for title, clip in clips:
        tick = 1 / clip.rate
        lines += ["[CHAPTER]", f"TIMEBASE={tick.numerator}/{tick.denominator}"]
        lines += [f"START={at}", f"END={at + clip.frames}"]
        lines.append(f"title={title.translate(_ESCAPED)}")
        at += clip.frames
    return "\n".join(lines) + "\n"


def maxrate_kbps(size: tuple[int, int]) -> int:
    """Return the most that pictures of a size take."""
    return MAXRATE_KBPS if min(size) <= SHORT_SIDE else FULL_MAXRATE_KBPS


def expected_bytes(length_s: float, size: tuple[int, int]) -> int:
    """Return what so many seconds take at most, about, with their sound."""
    return round(length_s * (maxrate_kbps(size) + 1536) * 1000 / 8) + (1 << 20)


def _matrix(video: VideoTrack) -> str:
    """Return the option that brings colours to BT.709; where a video does not say, its size decides."""
    if video.hdr:
        return ""  # the tone map does it
    if video.matrix in _BT2020:
        known = "bt2020"
    elif video.matrix in _BT601 or (video.matrix != _BT709 and min(video.width, video.height) < _HD_ROWS):
        known = "bt601"
    else:
        known = "bt709"
    return f":in_color_matrix={known}:out_color_matrix=bt709"


def _fits(one: Candidate, wish: CompilationWish) -> bool:
    shape = "square" if one.width == one.height else "landscape" if one.width > one.height else "portrait"
    return wish.min_duration_s <= one.duration_s <= wish.max_duration_s and wish.orientation in {"any", shape}
