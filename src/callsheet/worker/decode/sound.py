"""Reads recordings: their loudness over time, as figures and drawn as a picture."""

import io
from collections.abc import Sequence
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray
from PIL import Image

from callsheet.media import peaks
from callsheet.media import waveform as drawing
from callsheet.media.faults import MediaFaultError, undecodable, unsupported
from callsheet.worker.decode.container import Opened, decoder_errors
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import WaveformArguments, WaveformMade
from callsheet.worker.sandbox.work import Answer

_RATE_HZ: Final = 8_000
_WHOLE_UP_TO_S: Final = 600.0
_FRAMES_A_POINT: Final = 4


def waveform(arguments: WaveformArguments, descriptors: Sequence[int]) -> Answer[WaveformMade]:
    """Measure and draw the recording behind the first descriptor, from its first to its last sample."""
    source = Source(descriptors[0])
    identity = source.identity()
    try:
        with opened_to_play(source, arguments.limits, otherwise="it has no sound") as media:
            found, rate_hz = _measured(media)
    except MediaFaultError as error:
        return Answer(value=WaveformMade(identity=identity, fault=error.fault))
    pairs = found.pairs()
    picture = drawing.draw(peaks.levels(pairs, drawing.BARS), arguments.width, arguments.height)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG", optimize=True)
    said = peaks.document(pairs, rate_hz=rate_hz, stretch=found.stretch)
    return Answer(value=WaveformMade(identity=identity), blobs=(said, content.getvalue()))


def _measured(media: Opened) -> tuple[peaks.Peaks, int]:
    """Return the peaks of all samples of one channel, at the recording's own rate, and that rate."""
    if media.audio is None:
        raise unsupported("it has no sound")
    rate_hz = media.audio.codec_context.sample_rate
    found = peaks.Peaks()
    resampler = AudioResampler(format="s16", layout="mono", rate=rate_hz)
    heard = 0
    with decoder_errors("decoding the sound"):
        for frame in media.container.decode(media.audio):
            for part in resampler.resample(frame):
                samples = part.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                found.add(samples)
                heard += samples.size
    if not heard:
        raise undecodable("no sound can be decoded")
    return found, rate_hz


def waveform_picture(media: Opened, size: tuple[int, int]) -> Image.Image:
    """Return the loudness of a recording as a picture.

    Raises:
        MediaFaultError: No sound can be decoded.
    """
    levels = _levels(media)
    return Image.fromarray(drawing.draw(levels, *size))


def _levels(media: Opened) -> NDArray[np.float32]:
    """Return peaks of all of a short recording, and of evenly spread points of a long one."""
    if media.duration_s is None or media.duration_s <= _WHOLE_UP_TO_S:
        samples = _samples(media, None)
        if not samples.size:
            raise undecodable("no sound can be decoded")
        return drawing.peaks(samples, drawing.BARS)
    levels = np.zeros(drawing.BARS, dtype=np.float32)
    for place in range(drawing.BARS):
        with decoder_errors("seeking"):
            media.container.seek(int(media.duration_s * (place + 0.5) / drawing.BARS * av.time_base))
        samples = _samples(media, _FRAMES_A_POINT)
        levels[place] = np.abs(samples).max() if samples.size else 0.0
    return levels


def _samples(media: Opened, frame_limit: int | None) -> NDArray[np.float32]:
    """Return one channel at 8 kHz, -1..1, from where the container stands."""
    if media.audio is None:
        raise undecodable("it has no sound")
    resampler = AudioResampler(format="flt", layout="mono", rate=_RATE_HZ)
    parts: list[NDArray[np.float32]] = []
    limit_s = _WHOLE_UP_TO_S * 1.1
    with decoder_errors("decoding the sound"):
        for count, frame in enumerate(media.container.decode(media.audio)):
            if (frame_limit is not None and count >= frame_limit) or (frame.time or 0.0) > limit_s * 1e3:
                break
            parts += [_plain(part) for part in resampler.resample(frame)]
            if frame_limit is None and len(parts) * 160 > limit_s * _RATE_HZ:
                break
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _plain(frame: AudioFrame) -> NDArray[np.float32]:
    return frame.to_ndarray().reshape(-1).astype(np.float32, copy=False)
