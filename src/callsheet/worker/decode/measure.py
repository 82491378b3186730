"""Measures a video second by second, in one cheap pass: small pictures, four a second, and the sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from callsheet.media import kinds, series
from callsheet.media.faults import MediaFaultError, undecodable
from callsheet.media.series import COLUMNS, PICTURE_COLUMNS, SOUND_RATE_HZ, STEP_S, Figures
from callsheet.worker.decode import container
from callsheet.worker.decode.meter import Meter
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import MeasureArguments, Measured
from callsheet.worker.sandbox.work import Answer

_SIDE: Final = 160
_STEP_MAX_S: Final = 1.5
_JUMP_S: Final = 0.2
_BURST_PACKETS: Final = 60
_BURST_EVERY_S: Final = 1.0
_INTERLEAVED_S: Final = 10.0
_LAST_BIT_S: Final = 0.1
_FORMAT: Final = "rgb24"


@dataclass(slots=True)
class _Table:
    """The figures of the seconds of a window: ``(seconds, columns)``, NaN where nothing was decoded."""

    begin_s: int
    rows: Figures
    filled: int = 0

    def put(self, second: int, place: int, figures: Sequence[float]) -> None:
        """Write figures of one second from a column on; what lies outside of the window is left out."""
        row = second - self.begin_s
        if 0 <= row < len(self.rows):
            self.rows[row, place : place + len(figures)] = figures
            self.filled = max(self.filled, row + 1)


@dataclass(slots=True)
class _Pictures:
    """Looks at pictures in the order in which they are shown."""

    table: _Table
    next_s: float = 0.0
    """When the next one is looked at."""
    at_s: float = -1.0
    before: NDArray[np.uint8] | None = None
    second: int = -1
    seen: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])
    steps: list[float] = field(default_factory=list[float])

    def take(self, frame: VideoFrame, at_s: float) -> None:
        if at_s < self.next_s:
            return
        self.next_s = at_s + STEP_S - 1e-3
        if int(at_s) != self.second:
            self.write()
            self.second = int(at_s)
        image = _small(frame)
        luma = series.luma_of(image)
        self.seen.append(series.picture_figures(image))
        if self.before is not None and self.before.shape == luma.shape and at_s - self.at_s < _STEP_MAX_S:
            self.steps.append(series.motion_between(self.before, luma))
        self.before, self.at_s = luma, at_s

    def restart(self) -> None:
        """Compare the next picture with none before it, and look at it."""
        self.before, self.next_s = None, 0.0

    def write(self) -> None:
        """Write down the second that has passed."""
        if self.seen:
            brightness, sharp, colour, black = (float(one) for one in np.mean(self.seen, axis=0))
            motion = float(np.median(self.steps)) if self.steps else math.nan
            still = [float(step < series.FROZEN_BELOW) for step in self.steps]
            frozen = float(np.mean(still)) if still else math.nan
            self.table.put(self.second, 0, (motion, brightness, sharp, colour, black, frozen))
        self.seen, self.steps = [], []


@dataclass(slots=True)
class _Sound:
    """Hears sound in its order; holds one second of it at most."""

    table: _Table
    resampler: AudioResampler
    at: int = 0
    """The place of the next sample, counted from the beginning of the file."""
    parts: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])

    def take(self, frame: AudioFrame, at_s: float) -> None:
        place = round(at_s * SOUND_RATE_HZ)
        if abs(place - self.at) > _JUMP_S * SOUND_RATE_HZ:
            self.write()
            self.at = max(0, place)
        for part in self.resampler.resample(frame):
            samples = part.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            while samples.size:
                room = SOUND_RATE_HZ - self.at % SOUND_RATE_HZ
                self.parts.append(samples[:room])
                self.at += min(room, samples.size)
                if samples.size >= room:
                    self.write()
                samples = samples[room:]

    def write(self) -> None:
        """Write down the second that has passed."""
        if self.parts:
            figures = series.sound_figures(np.concatenate(self.parts))
            self.table.put((self.at - 1) // SOUND_RATE_HZ, PICTURE_COLUMNS, figures)
        self.parts = []


@dataclass(slots=True)
class _Bursts:
    """Chooses the packets of a long video: each keyframe, and what follows until motion can be seen."""

    decoder: VideoStream
    pictures: _Pictures
    begun_s: float = -math.inf
    fed: int = 0
    open: bool = False

    def wants(self, at_s: float, *, key: bool) -> bool:
        """Say whether the packet that is shown at an instant is to be decoded."""
        if self.open:
            self.fed += 1
            self.open = self.fed < _BURST_PACKETS and self.pictures.at_s < self.begun_s + STEP_S
            return self.open
        if key and at_s >= self.begun_s + _BURST_EVERY_S:
            self.decoder.codec_context.flush_buffers()
            self.pictures.restart()
            self.begun_s, self.fed, self.open = at_s, 0, True
        return self.open


def measure(arguments: MeasureArguments, descriptors: Sequence[int]) -> Answer[Measured]:
    """Measure the file behind the first descriptor; say on the second, if there is one, how far it is."""
    source = Source(descriptors[0])
    meter = Meter(descriptors[1] if len(descriptors) > 1 else None)
    identity = source.identity()
    try:
        with opened_to_play(source, arguments.limits, otherwise="it holds no moving pictures") as media:
            audio = _audio(media)
            sparse = _pixels(media) > arguments.pixels_max
            table = _measured(media, audio, arguments, meter, sparse=sparse)
    except MediaFaultError as error:
        return Answer(value=Measured(identity=identity, fault=error.fault))
    return Answer(value=Measured(identity=identity, sparse=sparse), blobs=(table.tobytes(),))


def _audio(media: container.Opened) -> AudioStream | None:
    audio = media.audio
    if audio is None or audio.codec_context.codec.canonical_name not in kinds.AUDIO_CODECS:
        return None
    return audio


def _pixels(media: container.Opened) -> float:
    """Return how many pixels the whole video has, about."""
    video = media.video
    if video is None:
        return 0.0
    rate = float(video.average_rate or video.guessed_rate or 25)
    return rate * (media.duration_s or 0.0) * video.codec_context.width * video.codec_context.height


def _measured(
    media: container.Opened,
    audio: AudioStream | None,
    arguments: MeasureArguments,
    meter: Meter,
    *,
    sparse: bool,
) -> Figures:
    end_s = min(arguments.end_s or math.inf, arguments.limits.duration_s)
    if media.duration_s:
        end_s = min(end_s, max(1, math.ceil(media.duration_s - _LAST_BIT_S)))
    length = max(0, math.ceil(end_s) - arguments.begin_s)
    table = _Table(arguments.begin_s, np.full((length, len(COLUMNS)), np.nan, dtype=np.float32))
    pictures = _Pictures(table)
    sound = _Sound(table, AudioResampler(format="flt", layout="mono", rate=SOUND_RATE_HZ))
    decoded = _read(media, audio, pictures, sound, (arguments.begin_s, end_s), meter, sparse=sparse)
    pictures.write()
    sound.write()
    if not decoded and arguments.begin_s == 0:
        raise undecodable("no frame of it can be decoded")
    return table.rows if media.duration_s else table.rows[: table.filled]


def _read(
    media: container.Opened,
    audio: AudioStream | None,
    pictures: _Pictures,
    sound: _Sound,
    window: tuple[int, float],
    meter: Meter,
    *,
    sparse: bool,
) -> int:
    """Read the packets of a window; returns how many frames were decoded."""
    start_s = (media.container.start_time or 0) / av.time_base
    streams = [one for one in (media.video, audio) if one is not None]
    bursts = None if media.video is None or not sparse else _Bursts(media.video, pictures)
    if media.video is not None:
        media.video.codec_context.skip_frame = "NONREF"
    begin_s, end_s = window
    decoded = 0
    with container.decoder_errors("reading it"):
        if begin_s:
            media.container.seek(int((begin_s + start_s) * av.time_base))
        for packet in media.container.demux(*streams):
            at_s = _instant(packet, start_s)
            if at_s is not None and at_s > end_s + _INTERLEAVED_S:
                break
            if at_s is not None:
                meter.say(at_s - begin_s, end_s - begin_s)
            if isinstance(packet.stream, AudioStream):
                for heard in _heard(cast("Packet[AudioStream]", packet)):
                    decoded += 1
                    sound.take(heard, (heard.time or 0.0) - start_s)
            elif bursts is None or at_s is None or bursts.wants(at_s, key=packet.is_keyframe):
                for shown in _shown(cast("Packet[VideoStream]", packet)):
                    decoded += 1
                    pictures.take(shown, shown.time - start_s)
    return decoded


def _instant(packet: "Packet[Stream]", start_s: float) -> float | None:
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else float(ticks * packet.time_base) - start_s


def _shown(packet: "Packet[VideoStream]") -> Sequence[VideoFrame]:
    """Decode a packet of pictures; one that is damaged has none."""
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.error.InvalidDataError:
        return ()


def _heard(packet: "Packet[AudioStream]") -> Sequence[AudioFrame]:
    """Decode a packet of sound; one that is damaged has none."""
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.error.InvalidDataError:
        return ()


def _small(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return a frame as R'G'B' of at most 160 pixels a side, as it is stored."""
    scale = min(1.0, _SIDE / max(frame.width, frame.height))
    width, height = (max(8, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(
        width=width, height=height, format=_FORMAT, interpolation=Interpolation.AREA, threads=1
    )
    return small.to_ndarray().astype(np.uint8, copy=False)
