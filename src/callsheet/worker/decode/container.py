"""Opens containers of moving pictures and sound, with every door to other files shut.

PyAV imports what it needs for subtitles when it meets them; in a confined child that is too late,
so it is imported here.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import av
import av.error
import av.logging
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from callsheet.media import iso
from callsheet.media.facts import MediaFacts, MediaLimits, check_duration, check_size, check_streams, upright
from callsheet.media.faults import MediaFaultError, encrypted, truncated, undecodable, unsupported
from callsheet.media.kinds import (
    AUDIO_CODECS,
    FORMAT_WHITELIST,
    VIDEO_CODECS,
    Family,
    Kind,
    container_name,
)
from callsheet.worker.decode.source import Source

av.logging.set_level(None)

_IMPORTED_EARLY: Final = (av.subtitles.codeccontext, av.subtitles.stream, av.subtitles.subtitle)
_PROJECTION_ROLL: Final = b"\x76\x75"
_LAST_ENTRIES: Final = 16
_TAIL_S: Final = 2.0
_TAIL_PACKETS: Final = 5_000
_TRUSTED_TAILS: Final = frozenset({Family.MP3, Family.FLAC})
_OPTIONS: Final = {
    "format_whitelist": FORMAT_WHITELIST,
    "protocol_whitelist": "",
    "skip_frame": "nokey",
    "max_streams": "64",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """An open container and the streams that matter in it."""

    container: InputContainer
    family: Family | None
    video: VideoStream | None
    """The best stream of moving pictures; never an attached cover."""
    audio: AudioStream | None
    duration_s: float | None


@contextmanager
def opened(source: Source, family: Family | None, limits: MediaLimits) -> Generator[Opened]:
    """Open a container and check what its header says against the limits.

    Raises:
        MediaFaultError: It cannot be opened, holds nothing to play, or is beyond a limit.
    """
    if family is Family.ISO and iso.is_encrypted(source.read_at, source.size_bytes):
        raise encrypted("its tracks are protected (common encryption); the key is not known here")
    with _open(source, family) as container:
        check_streams(len(container.streams), limits)
        video = _best_video(container)
        audio = _best_audio(container)
        if video is None and audio is None:
            raise unsupported("it holds neither moving pictures nor sound")
        duration_s = _duration_s(container, video or audio)
        check_duration(duration_s or 0.0, limits)
        if video is not None:
            _check_video(video, limits)
        if (
            audio is not None
            and video is None
            and audio.codec_context.codec.canonical_name not in AUDIO_CODECS
        ):
            raise unsupported(
                f"the audio codec {audio.codec_context.codec.canonical_name!r} is not read here"
            )
        yield Opened(container, family, video, audio, duration_s)


@contextmanager
def decoder_errors(doing: str) -> Generator[None]:
    """Turn FFmpeg's errors into faults that say what was being done."""
    try:
        yield
    except MemoryError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError) as error:
        raise undecodable(f"{doing} failed: {_words(error)}") from error


def container_facts(source: Source, media: Opened) -> MediaFacts:
    """Return the facts of an open container.

    Raises:
        MediaFaultError: A frame had to be decoded and could not.
    """
    video, audio, duration_s = media.video, media.audio, media.duration_s
    turned = 0 if video is None else _rotation(source, media, video)
    width, height = (
        (0, 0) if video is None else upright(video.codec_context.width, video.codec_context.height, turned)
    )
    rate = None if video is None else video.average_rate or video.guessed_rate
    return MediaFacts(
        kind=Kind.AUDIO if video is None else Kind.VIDEO,
        format=container_name(media.family, source.head) if media.family else media.container.format.name,
        width=width,
        height=height,
        duration_s=duration_s,
        video_codec="" if video is None else video.codec_context.codec.canonical_name,
        audio_codec=_audio_codec(audio),
        rotation=turned,
        frame_rate=round(float(rate), 3) if rate else 0.0,
        bitrate_kbps=_bitrate_kbps(media.container, source.size_bytes, duration_s),
        extra=_extra(video, audio),
    )


def check_tail(source: Source, media: Opened) -> None:
    """Refuse a container whose index or duration reaches beyond what the file holds.

    Raises:
        MediaFaultError: It is truncated.
    """
    if media.family is Family.ISO:
        promised = _indexed_bytes(media.container)
        if promised > source.size_bytes:
            raise truncated(f"its index promises {promised:,} bytes, the file has {source.size_bytes:,}")
    if media.family in _TRUSTED_TAILS and media.duration_s:
        reached = _last_instant(media, media.duration_s)
        if reached < media.duration_s - tolerance_s(media.duration_s):
            raise truncated(f"its header promises {media.duration_s:.1f} s, the file ends at {reached:.1f} s")


def tolerance_s(duration_s: float) -> float:
    """Return how much two statements of a duration may differ: half a second or 2 %."""
    return max(0.5, duration_s * 0.02)


def first_frame(media: Opened) -> VideoFrame | None:
    """Return the first frame that can be decoded from where the container stands."""
    if media.video is None:
        return None
    with decoder_errors("decoding the first picture"):
        return next(iter(media.container.decode(media.video)), None)


def quarter_turns(frame: VideoFrame) -> int:
    """Return the clockwise degrees, 0 to 270, that make a frame upright."""
    return round(-frame.rotation / 90) * 90 % 360


@contextmanager
def _open(source: Source, family: Family | None) -> Generator[InputContainer]:
    try:
        container = av.open(
            source.stream(), "r", options=_OPTIONS, metadata_errors="replace", buffer_size=131_072
        )
    except av.error.FFmpegError as error:
        if family is None:
            raise unsupported(
                "no media format that is read here: its first bytes carry no known signature"
            ) from error
        raise undecodable(f"its {family} structure cannot be read: {_words(error)}") from error
    with container:
        yield container


def _words(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said)[:200]


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _best_video(container: InputContainer) -> VideoStream | None:
    best = container.streams.best("video")
    if isinstance(best, VideoStream) and not _is_cover(best):
        return best
    return next((stream for stream in container.streams.video if not _is_cover(stream)), None)


def _best_audio(container: InputContainer) -> AudioStream | None:
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) else None


def _check_video(video: VideoStream, limits: MediaLimits) -> None:
    name = video.codec_context.codec.canonical_name
    if name not in VIDEO_CODECS:
        raise unsupported(f"the video codec {name!r} is not read here")
    check_size(video.codec_context.width, video.codec_context.height, limits)
    video.codec_context.thread_count = 1
    video.codec_context.skip_frame = "NONKEY"


def _duration_s(container: InputContainer, stream: Stream | None) -> float | None:
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    if stream is not None and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _audio_codec(audio: AudioStream | None) -> str:
    return "" if audio is None else audio.codec_context.codec.canonical_name


def _rotation(source: Source, media: Opened, video: VideoStream) -> int:
    """Return the rotation from the header; other containers tell it only with a frame."""
    if media.family is Family.ISO:
        return iso.rotation(source.read_at, source.size_bytes, video.id)
    if media.family is Family.MATROSKA and _PROJECTION_ROLL in source.head:
        frame = first_frame(media)
        return 0 if frame is None else quarter_turns(frame)
    return 0


def _bitrate_kbps(container: InputContainer, size_bytes: int, duration_s: float | None) -> int:
    if container.bit_rate:
        return round(container.bit_rate / 1000)
    return round(size_bytes * 8 / duration_s / 1000) if duration_s else 0


def _extra(video: VideoStream | None, audio: AudioStream | None) -> dict[str, str | int | float | bool]:
    extra: dict[str, str | int | float | bool] = {}
    if video is not None:
        extra["pixelFormat"] = video.codec_context.pix_fmt or ""
        aspect = video.sample_aspect_ratio
        if aspect and aspect != 1:
            extra["sampleAspectRatio"] = str(aspect)
    if audio is not None:
        extra["sampleRateHz"] = audio.codec_context.sample_rate
        extra["channels"] = audio.codec_context.channels
    return extra


def _indexed_bytes(container: InputContainer) -> int:
    """Return where the samples at the end of each stream's index end, in bytes from the beginning."""
    furthest = 0
    for stream in container.streams:
        entries = stream.index_entries
        count = len(entries)
        for place in range(max(0, count - _LAST_ENTRIES), count):
            furthest = max(furthest, entries[place].pos + entries[place].size)
    return furthest


def _last_instant(media: Opened, duration_s: float) -> float:
    """Return the end of the last packet, in seconds; leaves the container at its end."""
    stream = media.video or media.audio
    if stream is None or stream.time_base is None:
        return duration_s
    reached = 0.0
    with decoder_errors("reading its end"):
        media.container.seek(int(max(0.0, duration_s - _TAIL_S) * av.time_base))
        for count, packet in enumerate(media.container.demux(stream)):
            if count > _TAIL_PACKETS:
                return duration_s
            if packet.pts is not None:
                reached = max(reached, float((packet.pts + (packet.duration or 0)) * stream.time_base))
    return reached


__all__ = [
    "MediaFaultError",
    "Opened",
    "check_tail",
    "container_facts",
    "decoder_errors",
    "first_frame",
    "opened",
    "quarter_turns",
    "tolerance_s",
]
