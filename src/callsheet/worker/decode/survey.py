"""Reads a file packet by packet for an encoder: its tracks, their clocks, and where it can be cut."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from callsheet.media import kinds
from callsheet.media.facts import upright
from callsheet.media.faults import MediaFaultError, undecodable
from callsheet.media.survey import AudioTrack, Survey, VideoTrack, plan_chunks
from callsheet.worker.decode import container
from callsheet.worker.decode.meter import Meter
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import SurveyArguments, Surveyed
from callsheet.worker.sandbox.work import Answer


@dataclass(slots=True)
class _Clock:
    """The timestamps of one stream, in its own ticks."""

    tick_s: Fraction
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    keys: "array[int]" = field(default_factory=lambda: array("q"))
    end: int = 0

    @property
    def start(self) -> int:
        return min(self.pts, default=0)

    @property
    def duration_s(self) -> float:
        return float((self.end - self.start) * self.tick_s)

    def add(self, pts: int, duration: int, *, key: bool) -> None:
        self.end = max(self.end, pts + duration)
        self.pts.append(pts)
        if key:
            self.keys.append(pts)


def survey(arguments: SurveyArguments, descriptors: Sequence[int]) -> Answer[Surveyed]:
    """Survey the file behind the first descriptor; say on the second, if there is one, how far it is."""
    source = Source(descriptors[0])
    meter = Meter(descriptors[1] if len(descriptors) > 1 else None)
    try:
        with opened_to_play(source, arguments.limits, otherwise="it holds no moving pictures") as media:
            found = _surveyed(media, arguments, meter)
    except MediaFaultError as error:
        return Answer(value=Surveyed(identity=source.identity(), fault=error.fault))
    return Answer(value=Surveyed(identity=source.identity(), survey=found))


def _surveyed(media: container.Opened, arguments: SurveyArguments, meter: Meter) -> Survey:
    video, audio = media.video, media.audio
    first = container.first_frame(media)
    if video is not None:
        if first is None:
            raise undecodable("no frame of it can be decoded")
        with container.decoder_errors("going back to its beginning"):
            media.container.seek(0)
    clocks = _read(media, meter)
    ends = [clock.end * clock.tick_s for clock in clocks.values() if clock.pts]
    begin = Fraction(media.container.start_time or 0, av.time_base)
    duration_s = float(max(ends, default=begin) - begin)
    return Survey(
        format=media.container.format.name,
        duration_s=duration_s,
        bitrate_kbps=round((media.container.size or 0) * 8 / 1000 / duration_s) if duration_s else 0,
        video=None if video is None or first is None else _video(video, first, clocks, begin, arguments),
        audio=None if audio is None else _audio(audio, clocks, begin),
    )


def _read(media: container.Opened, meter: Meter) -> dict[int, _Clock]:
    streams: list[Stream] = [stream for stream in (media.video, media.audio) if stream is not None]
    clocks = {one.index: _Clock(one.time_base or Fraction(1)) for one in streams}
    with container.decoder_errors("reading its packets"):
        for packet in media.container.demux(*streams):
            if packet.pts is None:
                continue
            clock = clocks[packet.stream.index]
            clock.add(packet.pts, packet.duration or 0, key=packet.is_keyframe)
            meter.say(float(packet.pts * clock.tick_s), media.duration_s)
    return clocks


def _video(
    video: VideoStream,
    first: VideoFrame,
    clocks: dict[int, _Clock],
    begin: Fraction,
    arguments: SurveyArguments,
) -> VideoTrack:
    clock, codec = clocks[video.index], video.codec_context
    keys = sorted(clock.keys)
    chunks = plan_chunks(
        clock.pts,
        keys,
        chunk_ticks=round(Fraction(arguments.chunk_s) / clock.tick_s),
        chunks_max=arguments.chunks_max,
    )
    turned = container.quarter_turns(first)
    aspect = video.sample_aspect_ratio or Fraction(1)
    width, height = upright(max(1, round(codec.width * aspect)), codec.height, turned)
    gops = [after - key for key, after in zip(keys, [*keys[1:], clock.end], strict=True)]
    return VideoTrack(
        index=video.index,
        codec=codec.codec.canonical_name,
        profile=video.profile or "",
        width=width,
        height=height,
        pixel_format=codec.pix_fmt or "",
        transfer=int(first.color_trc),
        matrix=int(first.colorspace),
        interlaced=bool(first.interlaced_frame),
        frames=len(clock.pts),
        frame_rate=float(video.average_rate or video.guessed_rate or 0),
        time_base=(clock.tick_s.numerator, clock.tick_s.denominator),
        start_s=float(clock.start * clock.tick_s - begin),
        duration_s=clock.duration_s,
        longest_gop_s=float(max(gops, default=0) * clock.tick_s),
        plain_aspect=aspect == 1 and turned == 0,
        chunks=chunks,
    )


def _audio(audio: AudioStream, clocks: dict[int, _Clock], begin: Fraction) -> AudioTrack | None:
    clock, codec = clocks[audio.index], audio.codec_context
    if not clock.pts or codec.codec.canonical_name not in kinds.AUDIO_CODECS:
        return None
    return AudioTrack(
        index=audio.index,
        codec=codec.codec.canonical_name,
        sample_rate=codec.sample_rate,
        channels=codec.channels,
        start_s=float(clock.start * clock.tick_s - begin),
        duration_s=clock.duration_s,
    )
