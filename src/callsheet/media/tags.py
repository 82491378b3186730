"""Tags that an item's metadata and measurements give: no model, and no guess at what it shows.

Thresholds are conventions; a tag says no more than its rule here. Nothing recognises a face, a voice or a
word: ``speech-like`` is a hint about loudness and pitch, which an animal's voice can give as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsheet.media.series import Figures, Series, picture_figures

METADATA: Final = "metadata"
"""The source of tags that an item's metadata gives."""
HEURISTIC: Final = "heuristic"
"""The source of tags that measurements give."""

_SQUARE_WITHIN: Final = 0.05
_RESOLUTIONS: Final = (
    (4320, "8k"),
    (2160, "4k"),
    (1440, "1440p"),
    (1080, "1080p"),
    (720, "720p"),
    (480, "480p"),
)
"""Pixels of the short side from which an item is said to have so many lines."""
_DURATIONS: Final = ((10.0, "clip"), (60.0, "short"), (600.0, "medium-length"), (3600.0, "long"))
"""Seconds below which an item is said to be so long."""
_HIGH_RATE: Final = 48.0
_MOTION: Final = ((1.0, 10.0), ("static", "some-motion", "much-motion"))
"""Of `Series.motion`: borders, and the classes between them."""
_LIGHT: Final = ((60.0, 170.0), ("dark", "medium-light", "bright"))
"""Of `Series.brightness`."""
_COLOUR: Final = ((8.0, 33.0, 59.0), ("colourless", "muted-colours", "colourful", "vivid"))
"""Of `Series.colourfulness`; the borders follow the scale of Hasler and Süsstrunk."""
_QUIET_DB: Final = -60.0
_LOUD_DB: Final = -20.0
_SILENT_FROM: Final = 0.99
_VOICE_SHARE: Final = 0.4
_SYLLABLES_DB: Final = 5.0
_LEAST: Final = 0.05
_HALF: Final = 0.5

Holds = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag."""

    name: str
    score: float
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an item's metadata says. 0 or empty where it says nothing."""

    kind: str
    """image, video, audio or document."""
    width: int = 0
    height: int = 0
    duration_s: float | None = None
    frame_rate: float = 0.0
    audio_codec: str = ""


def metadata_tags(known: Known) -> list[Tag]:
    """Return the tags that hold by an item's metadata, all with score 1."""
    names = [known.kind]
    if known.width and known.height:
        names += [_orientation(known), _resolution(known)]
    if known.duration_s is not None and known.kind in {"video", "audio"}:
        names.append(next((name for most, name in _DURATIONS if known.duration_s < most), "very-long"))
    if known.kind == "video":
        names.append("with-sound-track" if known.audio_codec else "without-sound-track")
        if known.frame_rate >= _HIGH_RATE:
            names.append("high-frame-rate")
    return [Tag(name, 1.0) for name in names]


def measured_tags(series: Series) -> list[Tag]:
    """Return the tags of a video or recording; the score is the share of its seconds for which one holds.

    Of motion, light and colour one class is given each, that of most seconds in which something is shown.
    """
    found: list[Tag] = []
    if series.seconds and series.pictures:
        found += _of_pictures(series)
    if series.seconds and series.sound:
        found += _of_sound(series)
    return found


def still_tags(picture: NDArray[np.uint8]) -> list[Tag]:
    """Return the tags of a picture, ``(height, width, 3)``, R'G'B'; all with score 1."""
    brightness, _, colour, black = picture_figures(picture)
    if black >= _HALF:
        return [Tag("blank", 1.0)]
    one = np.array([brightness], dtype=np.float32)
    return [_class_of(one, *_LIGHT), _class_of(np.array([colour], dtype=np.float32), *_COLOUR)]


def _orientation(known: Known) -> str:
    ratio = known.width / known.height
    if abs(ratio - 1) <= _SQUARE_WITHIN:
        return "square"
    return "landscape" if ratio > 1 else "portrait"


def _resolution(known: Known) -> str:
    short = min(known.width, known.height)
    return next((name for least, name in _RESOLUTIONS if short >= least), "low-resolution")


def _of_pictures(series: Series) -> list[Tag]:
    shown = series.black < _HALF
    blank = _share(~shown)
    found = [Tag("blank" if blank == 1 else "blank-parts", blank)] if blank >= _LEAST else []
    if not shown.any():
        return found
    found += [
        _class_of(series.motion[shown], *_MOTION),
        _class_of(series.brightness[shown], *_LIGHT),
        _class_of(series.colourfulness[shown], *_COLOUR),
    ]
    frozen = _share((series.frozen >= _HALF) & shown)
    return [*found, Tag("frozen-parts", frozen)] if frozen >= _LEAST else found


def _of_sound(series: Series) -> list[Tag]:
    quiet = series.loudness_db < _QUIET_DB
    silence = _share(quiet)
    if silence >= _SILENT_FROM:
        return [Tag("silent", silence)]
    found = [Tag("silent-parts", silence)] if silence >= _LEAST else []
    loud = _share(series.loudness_db >= _LOUD_DB)
    if loud >= _HALF:
        found.append(Tag("loud", loud))
    voiced = (series.voice_band >= _VOICE_SHARE) & (series.loudness_swing_db >= _SYLLABLES_DB) & ~quiet
    speech = float(voiced.sum() / (~quiet).sum())
    return [*found, Tag("speech-like", speech)] if speech >= _HALF else found


def _class_of(values: Figures, borders: Sequence[float], names: Sequence[str]) -> Tag:
    places = np.searchsorted(np.asarray(borders, dtype=np.float32), values, side="right")
    counts = np.bincount(places, minlength=len(names))
    best = int(counts.argmax())
    return Tag(names[best], float(counts[best] / len(values)))


def _share(holds: Holds) -> float:
    return float(holds.mean())
