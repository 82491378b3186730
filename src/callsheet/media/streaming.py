"""Plans a video for streaming: H.264 and AAC that every browser plays, or a copy where it is that already."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from callsheet.media.encoders import Encoder, h264_options
from callsheet.media.recipes import recipe_of
from callsheet.media.survey import AudioTrack, Survey, VideoTrack

SHORT_SIDE_MAX: Final = 1080
"""Pixels of the shorter side."""
LONG_SIDE_MAX: Final = 4096
"""Pixels of the longer side, which level 5.1 of H.264 still holds."""
GOP_S: Final = 2.0
"""Seconds between two keyframes."""
AUDIO_KBPS: Final = 128
AUDIO_RATES: Final = frozenset({22050, 24000, 32000, 44100, 48000})
"""Sample rates that are kept; others become 48 kHz."""
_COPIED_GOP_S: Final = 6.0
_COPIED_PROFILES: Final = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
_STEREO: Final = 2

#: Linear light, mapped by Hable's curve, then BT.709. A white of 100 cd/m² is what zimg assumes.
_TONE_MAP: Final = (
    "zscale=t=linear:npl=100",
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=tonemap=hable:desat=0",
    "zscale=t=bt709:m=bt709:r=tv",
)

Options = Mapping[str, str | float]
"""Options of an output of FFmpeg without their dashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingWish:
    """What somebody asks for."""

    target_bitrate_kbps: int = 2000
    """The most that the pictures take; the buffer is twice that."""
    preset: str = "medium"
    """As libx264 names them."""
    crf: int = 23

    @property
    def recipe(self) -> str:
        """Names the wish: the same of the same content gives the same video."""
        return recipe_of("streaming", asdict(self))


def conforms(survey: Survey, wish: StreamingWish) -> bool:
    """Say whether a file need only be copied into a new container."""
    video, audio = survey.video, survey.audio
    return (
        video is not None
        and video.codec == "h264"
        and video.profile in _COPIED_PROFILES
        and video.pixel_format == "yuv420p"
        and video.plain_aspect
        and not video.hdr
        and not video.interlaced
        and (video.width, video.height) == streaming_size(video)
        and video.longest_gop_s <= _COPIED_GOP_S
        and survey.bitrate_kbps <= wish.target_bitrate_kbps + AUDIO_KBPS
        and (audio is None or (audio.codec == "aac" and audio.channels <= _STEREO))
    )


def streaming_size(video: VideoTrack) -> tuple[int, int]:
    """Return width and height: even, the shorter at most 1080, never enlarged."""
    scale = min(
        1.0,
        SHORT_SIDE_MAX / min(video.width, video.height),
        LONG_SIDE_MAX / max(video.width, video.height),
    )
    return _even(video.width * scale), _even(video.height * scale)


def video_filters(video: VideoTrack) -> list[str]:
    """Return the filters that make frames fit for a page; FFmpeg itself turns them upright before."""
    width, height = streaming_size(video)
    return [
        *(["bwdif=deint=interlaced"] if video.interlaced else []),
        f"scale={width}:{height}:flags=bicubic:out_range=tv",
        "setsar=1",
        *(_TONE_MAP if video.hdr else []),
        "format=yuv420p",
    ]


def tone_map_filters() -> Sequence[str]:
    """Return the filters that bring high dynamic range down to a common screen."""
    return _TONE_MAP


def video_options(video: VideoTrack, wish: StreamingWish, encoder: Encoder) -> dict[str, str | float]:
    """Return the options of the pictures; timestamps stay those of the source."""
    return {
        **h264_options(
            encoder, preset=wish.preset, crf=wish.crf, maxrate_kbps=wish.target_bitrate_kbps, gop_s=GOP_S
        ),
        "fps_mode": "vfr",
        "enc_time_base": "demux",
        **({"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"} if video.hdr else {}),
    }


def audio_options(audio: AudioTrack | None) -> dict[str, str | float]:
    """Return the options of the sound: AAC in stereo, gaps filled with silence."""
    if audio is None:
        return {}
    return {
        "c:a": "aac",
        "b:a": f"{AUDIO_KBPS}k",
        "ac": min(_STEREO, audio.channels or _STEREO),
        "ar": audio.sample_rate if audio.sample_rate in AUDIO_RATES else 48_000,
        "af": "aresample=async=1000",
    }


def mp4_options() -> dict[str, str | float]:
    """Return the options of the container: its index in front, nothing of what the source tells of people."""
    return {"f": "mp4", "movflags": "+faststart", "map_metadata": -1, "sn": "", "dn": ""}


def expected_bytes(survey: Survey, wish: StreamingWish) -> int:
    """Return what the output takes at most, about."""
    return round(survey.duration_s * (wish.target_bitrate_kbps + AUDIO_KBPS) * 1000 / 8 * 1.1) + (1 << 20)


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)
