"""What an encoder has to know of a file: its tracks, their clocks, and where it can be cut. Values alone."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from callsheet.media.frames import HLG, PQ

HDR_TRANSFERS: Final = frozenset({PQ, HLG})
"""Transfer functions of high dynamic range, as numbered by ITU-T H.273."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of frames that begins with a keyframe: those with ``start_pts <= pts < end_pts``."""

    start_pts: int
    end_pts: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """The moving pictures."""

    index: int
    """The stream's number in its file."""
    codec: str
    profile: str = ""
    width: int
    """Upright, in square pixels, as `height`."""
    height: int
    pixel_format: str = ""
    transfer: int = 2
    """By ITU-T H.273; 2 where it is not said."""
    matrix: int = 2
    """Of its colours, by ITU-T H.273; 2 where it is not said."""
    interlaced: bool = False
    frames: int = 0
    frame_rate: float = 0.0
    time_base: tuple[int, int]
    """Seconds of one tick of its timestamps, as a fraction."""
    start_s: float = 0.0
    """When the first frame is shown, counted from the beginning of the file."""
    duration_s: float = 0.0
    longest_gop_s: float = 0.0
    """The longest distance between two keyframes."""
    plain_aspect: bool = True
    """Stored upright, in square pixels."""
    chunks: tuple[Chunk, ...] = ()
    """All frames, in order."""

    @property
    def hdr(self) -> bool:
        """Whether it has to be tone-mapped for a common screen."""
        return self.transfer in HDR_TRANSFERS

    def seconds(self, ticks: int) -> Fraction:
        """Return how long so many ticks of its timestamps last."""
        return Fraction(*self.time_base) * ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """The sound."""

    index: int
    codec: str
    sample_rate: int = 0
    channels: int = 0
    start_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A whole file, read packet by packet to its end."""

    format: str
    duration_s: float
    """From the first to the last instant of what is played."""
    bitrate_kbps: int = 0
    video: VideoTrack | None = None
    audio: AudioTrack | None = None


def plan_chunks(
    pts: Iterable[int], keyframes: Iterable[int], *, chunk_ticks: int, chunks_max: int
) -> tuple[Chunk, ...]:
    """Cut frames into chunks that each begin with a keyframe and last *chunk_ticks* or a little longer.

    Args:
        pts: Of all frames, in any order.
        keyframes: Those of them that are keyframes.
        chunk_ticks: What a chunk should last.
        chunks_max: Chunks at most; they get longer where there would be more.
    """
    ordered = sorted(pts)
    if not ordered:
        return ()
    length = max(chunk_ticks, -(-(ordered[-1] + 1 - ordered[0]) // chunks_max), 1)
    cuts = [ordered[0]]
    for key in sorted(keyframes):
        if key - cuts[-1] >= length:
            cuts.append(key)
    cuts.append(ordered[-1] + 1)
    bounds = [bisect_left(ordered, cut) for cut in cuts]
    return tuple(
        Chunk(start_pts=start, end_pts=end, frames=after - before)
        for start, end, before, after in zip(cuts, cuts[1:], bounds, bounds[1:], strict=False)
    )
