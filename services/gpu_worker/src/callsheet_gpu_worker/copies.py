"""Copies the streams of a video, or of a part of it between keyframes, into an MP4."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from callsheet.media.compilation import pictures_end_s
from callsheet.media.streaming import mp4_options
from callsheet.media.survey import Survey
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.commands import Command, Input, command, media_input
from callsheet.worker.encode.outputs import Expected, Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet_gpu_worker import streaming

ENCODER: Final = "copy"
"""As results call it."""
SEEKABLE: Final = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers in which a keyframe is found by its instant."""
_PICTURES: Final = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_SOUND: Final = frozenset({"aac", "mp3", "ac3", "eac3", "opus"})
_BEHIND_KEY_S: Final = 0.135
"""FFmpeg seeks 3/23 s before an instant where frames are decoded in another order than they are shown."""
_SHORTEST_S: Final = 0.001
_HALF_A_FRAME_S: Final = 0.002
"""Half of what a frame lasts at 240 in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that is to be made."""

    item: Item
    place: Place
    length_s: float
    audio: bool
    bytes: int
    """That it takes at most."""
    command: Callable[[int], Command]
    """Returns the command that writes it into a descriptor."""
    ffmpeg: str
    """The first line of ``ffmpeg -version``."""
    further: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What its item says besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What lies between two keyframes, in seconds from the beginning of the file."""

    start_s: float
    end_s: float


def can_lie_in_mp4(survey: Survey) -> bool:
    """Say whether the streams of a video can be cut at keyframes and copied into an MP4."""
    video, audio = survey.video, survey.audio
    return (
        survey.format in SEEKABLE
        and video is not None
        and video.codec in _PICTURES
        and (audio is None or audio.codec in _SOUND)
    )


def span_of(survey: Survey, start_s: float, end_s: float) -> Span:
    """Return what is copied for a part: from the keyframe before its start to the keyframe behind its end.

    Args:
        survey: Of all keyframes.
        start_s: Where the part begins.
        end_s: Where it ends.
    """
    video = streaming.pictures(survey)
    first = video.chunks[0].start_pts
    keys = [float(video.seconds(one.start_pts - first)) + video.start_s for one in video.chunks]
    edges = [*keys, pictures_end_s(survey)]
    begin = max((key for key in keys if key <= start_s), default=edges[0])
    return Span(start_s=begin, end_s=min((edge for edge in edges[1:] if edge >= end_s), default=edges[-1]))


def span_command(survey: Survey, span: Span, source: int, output: int) -> Command:
    """Return the command that copies a span.

    Its keyframe is sought a little behind its instant, so that no earlier one is found, and is moved to the
    beginning. Packets come in the order of decoding: all are dropped from the next span's keyframe on. So no
    frame behind the end is shown; frames before it that are decoded after that keyframe (an open group of
    pictures) are missing, as are those before the first keyframe that need what lies before it.
    """
    video = streaming.pictures(survey)
    length_s = max(_SHORTEST_S, span.end_s - span.start_s - _BEHIND_KEY_S - _SHORTEST_S)
    part = {"ss": f"{span.start_s + _BEHIND_KEY_S:.6f}", "t": f"{length_s:.6f}"}
    file = media_input(Input(fd=source, options=part))
    tracks = [track for track in (video, survey.audio) if track is not None]
    tag: dict[str, str | float] = {"tag:v": "hvc1"} if video.codec == "hevc" else {}
    cut = {"bsf:v": _within(span, last=span.end_s >= pictures_end_s(survey))}
    options = {
        "c": "copy",
        **tag,
        **cut,
        **mp4_options(),
        "map_chapters": -1,
        "avoid_negative_ts": "make_zero",
    }
    return command([file[str(track.index)] for track in tracks], options, output=output, inputs=[source])


def _within(span: Span, *, last: bool) -> str:
    """Return the filter of packets that drops what is shown before a span, and all from its end on."""
    begin, end = (
        edge - span.start_s - _BEHIND_KEY_S - _HALF_A_FRAME_S for edge in (span.start_s, span.end_s)
    )
    behind = "0" if last else f"if(gte(pts*tb,{end:.6f}),st(0,1));ld(0)"
    return f"noise=drop='{behind}+lt(pts*tb,{begin:.6f})'"


async def copied(context: JobContext, copy: Copy, meter: Meter) -> Made:
    """Copy, check and publish; *meter* says how far it is.

    Raises:
        BadInputError: Nothing can lie where it is asked for.
        TransientError: It is not what was expected; nothing was published.
        CapacityError: No room on the disk.
    """
    output = await outputs.begin(context, copy.place, expected_bytes=copy.bytes + (1 << 20))
    try:
        one = copy.command(output.fd)
        await encode(context, one, meter)
        return await outputs.publish(
            context,
            output,
            Expected(duration_s=copy.length_s, audio=copy.audio),
            Recorded(
                encoder=ENCODER, ffmpeg=copy.ffmpeg, argv=["ffmpeg", *one.arguments], further=copy.further
            ),
            recipe=copy.place.recipe,
            sources=[copy.item],
        )
    except BaseException:
        await output.discard()
        raise
