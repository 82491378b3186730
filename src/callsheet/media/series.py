"""What a video is like, second by second: figures that scores and tags are made of. Values alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsheet.media.frames import sharpness

Figures = NDArray[np.float32]
"""One figure a second: ``(seconds,)``."""

STEP_S: Final = 0.25
"""Seconds between two pictures that are looked at."""
SOUND_RATE_HZ: Final = 16_000
"""The rate at which sound is looked at."""
SILENCE_DB: Final = -100.0
"""What digital silence is said to have, and what is quieter."""
FROZEN_BELOW: Final = 0.25
"""Levels of motion below which a picture stands still; what coding alone changes is less."""
COLUMNS: Final = (
    "motion",
    "brightness",
    "sharpness",
    "colourfulness",
    "black",
    "frozen",
    "loudness_db",
    "loudness_swing_db",
    "voice_band",
)
"""The columns of a table, of the pictures first."""
PICTURE_COLUMNS: Final = 6
_BLOCK_S: Final = 0.05
_QUIET_DB: Final = -60.0
_VOICE_HZ: Final = (300.0, 3400.0)
_HEARD_HZ: Final = 50.0
_NOTHING_BELOW: Final = 16.0
_EVEN_BELOW: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The figures of a video. Second *n* is what is shown from *n* to *n + 1*, counted from its beginning.

    A second in which nothing was decoded has the pictures' figures of the nearest one that has. Without
    pictures, or without sound, their figures are those of black and of silence.
    """

    motion: Figures
    """How much a picture differs from that a quarter of a second before: the mean difference of luma, 0 to
    255, in a picture of 160 pixels; of several in a second the median, so that a cut is no motion."""
    brightness: Figures
    """Mean luma, 0 to 255."""
    sharpness: Figures
    """`callsheet.media.frames.sharpness` in a picture of 160 pixels: below 50 is soft, over 500 is rich."""
    colourfulness: Figures
    """By Hasler and Süsstrunk: 0 is grey, 15 slight, 45 quite, 82 and more extremely colourful."""
    black: Figures
    """The share of pictures that show nothing: dark or of one even tone, 0 to 1."""
    frozen: Figures
    """The share of pictures that are as the one before, 0 to 1."""
    loudness_db: Figures
    """RMS of all channels' mean, in dB below full scale: 0 to `SILENCE_DB`."""
    loudness_swing_db: Figures
    """How much the loudness varies within the second: the standard deviation of steps of 50 ms, in dB.
    Speech, which has syllables and pauses, varies more than most music and than noise."""
    voice_band: Figures
    """The share of the sound's energy between 300 and 3,400 Hz, 0 to 1; 0 where it is silent."""
    pictures: bool
    """Whether there are moving pictures that can be decoded."""
    sound: bool
    """Whether there is sound that can be decoded."""

    @property
    def seconds(self) -> int:
        """How many there are."""
        return len(self.motion)


def table_of(content: bytes) -> Figures:
    """Return the table that a child answered: ``(seconds, columns)``, NaN where nothing was decoded."""
    return np.frombuffer(content, dtype=np.float32).reshape(-1, len(COLUMNS))


def series_of(tables: Sequence[Figures]) -> Series:
    """Return the series of a video that was measured in parts that follow one another."""
    table = np.concatenate([*tables, np.empty((0, len(COLUMNS)), dtype=np.float32)])
    columns = [
        _filled(table[:, place]) if place < PICTURE_COLUMNS else _or_silence(table[:, place], name)
        for place, name in enumerate(COLUMNS)
    ]
    named = dict(zip(COLUMNS, columns, strict=True))
    known = ~np.isnan(table)
    pictures, sound = (bool(known[:, COLUMNS.index(name)].any()) for name in ("brightness", "loudness_db"))
    if not pictures:
        named["black"] = np.ones_like(named["black"])
    return Series(**named, pictures=pictures, sound=sound)


def picture_figures(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return brightness, sharpness, colourfulness, and 1 where it shows nothing.

    Args:
        image: ``(height, width, 3)``, R'G'B', 0..255.
    """
    luma = luma_of(image)
    mean = float(luma.mean())
    nothing = mean < _NOTHING_BELOW or float(luma.std()) < _EVEN_BELOW
    return mean, sharpness(luma), colourfulness(image), float(nothing)


def luma_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of a small picture, ``(height, width)``, by the weights of BT.601."""
    weighed: NDArray[np.float32] = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.round(weighed).astype(np.uint8)


def motion_between(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return the mean difference of two lumas of the same shape, 0 to 255."""
    return float(np.abs(after.astype(np.int16) - before.astype(np.int16)).mean())


def colourfulness(image: NDArray[np.uint8]) -> float:
    """Return how colourful a picture is.

    Source:
        Hasler and Süsstrunk, *Measuring colourfulness in natural images*, 2003, formula (4).
    """
    red, green, blue = (image[..., place].astype(np.float32) for place in range(3))
    across, down = red - green, 0.5 * (red + green) - blue
    spread = np.hypot(across.std(), down.std())
    return float(spread + 0.3 * np.hypot(across.mean(), down.mean()))


def sound_figures(samples: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return loudness, swing and the share of the voice band of up to one second.

    Args:
        samples: One channel at `SOUND_RATE_HZ`, -1..1; at least one.
    """
    loudness = _db(float(np.mean(np.square(samples, dtype=np.float64))))
    block = round(_BLOCK_S * SOUND_RATE_HZ)
    whole = samples[: len(samples) // block * block].reshape(-1, block)
    steps = [max(_QUIET_DB, _db(float(power))) for power in np.square(whole, dtype=np.float64).mean(axis=1)]
    swing = float(np.std(steps)) if steps else 0.0
    return loudness, swing, _voice_share(samples) if loudness > _QUIET_DB else 0.0


def _voice_share(samples: NDArray[np.float32]) -> float:
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    pitch = np.fft.rfftfreq(len(samples), 1 / SOUND_RATE_HZ)
    heard = float(power[pitch >= _HEARD_HZ].sum())
    voice = float(power[(pitch >= _VOICE_HZ[0]) & (pitch <= _VOICE_HZ[1])].sum())
    return voice / heard if heard > 0 else 0.0


def _db(power: float) -> float:
    return max(SILENCE_DB, 10 * float(np.log10(power))) if power > 0 else SILENCE_DB


def _filled(column: Figures) -> Figures:
    known = np.flatnonzero(~np.isnan(column))
    if not known.size:
        return np.zeros_like(column)
    places = np.arange(len(column))
    after = np.clip(np.searchsorted(known, places), 0, known.size - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.where(
        np.abs(known[before] - places) <= np.abs(known[after] - places), known[before], known[after]
    )
    return column[nearer]


def _or_silence(column: Figures, name: str) -> Figures:
    return np.nan_to_num(column, nan=SILENCE_DB if name == "loudness_db" else 0.0)
