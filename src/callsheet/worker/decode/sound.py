"""Reads recordings: their loudness over time, drawn as a picture."""

from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray
from PIL import Image

from callsheet.media import waveform
from callsheet.media.faults import undecodable
from callsheet.worker.decode.container import Opened, decoder_errors

_RATE_HZ: Final = 8_000
_WHOLE_UP_TO_S: Final = 600.0
_FRAMES_A_POINT: Final = 4


def waveform_picture(media: Opened, size: tuple[int, int]) -> Image.Image:
    """Return the loudness of a recording as a picture.

    Raises:
        MediaFaultError: No sound can be decoded.
    """
    levels = _levels(media)
    return Image.fromarray(waveform.draw(levels, *size))


def _levels(media: Opened) -> NDArray[np.float32]:
    """Return peaks of all of a short recording, and of evenly spread points of a long one."""
    if media.duration_s is None or media.duration_s <= _WHOLE_UP_TO_S:
        samples = _samples(media, None)
        if not samples.size:
            raise undecodable("no sound can be decoded")
        return waveform.peaks(samples, waveform.BARS)
    levels = np.zeros(waveform.BARS, dtype=np.float32)
    for place in range(waveform.BARS):
        with decoder_errors("seeking"):
            media.container.seek(int(media.duration_s * (place + 0.5) / waveform.BARS * av.time_base))
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
