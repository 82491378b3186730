"""Keeps the lowest and highest samples of a recording, stretch by stretch, as players draw them."""

import json
from typing import Final

import numpy as np
from numpy.typing import NDArray

STRETCH: Final = 256
"""Samples of the shortest stretch."""
STRETCHES_MAX: Final = 8192
"""Stretches of one recording; a longer one has longer stretches."""
_FULL_SCALE: Final = 256
"""Of 16 bits to 8."""


class Peaks:
    """Takes a recording a part at a time, and needs the same memory however long it is."""

    def __init__(self) -> None:
        self.stretch = STRETCH
        self._lows: list[NDArray[np.int16]] = []
        self._highs: list[NDArray[np.int16]] = []
        self._count = 0
        self._rest = np.zeros(0, dtype=np.int16)

    def add(self, samples: NDArray[np.int16]) -> None:
        """Take further samples of the one channel."""
        joined = np.concatenate((self._rest, samples)) if self._rest.size else samples
        whole = joined.size // self.stretch
        self._rest = joined[whole * self.stretch :].copy()
        if whole:
            self._keep(joined[: whole * self.stretch].reshape(whole, self.stretch))
        while self._count > STRETCHES_MAX:
            self._halve()

    def pairs(self) -> NDArray[np.int8]:
        """Return ``(stretches, 2)``: lowest and highest of each, -128..127; the last may be shorter."""
        if self._rest.size:
            self._keep(self._rest.reshape(1, -1))
            self._rest = self._rest[:0]
        if not self._count:
            return np.zeros((0, 2), dtype=np.int8)
        both = np.stack((np.concatenate(self._lows), np.concatenate(self._highs)), axis=1)
        return np.floor_divide(both, _FULL_SCALE).astype(np.int8)

    def _keep(self, rows: NDArray[np.int16]) -> None:
        self._lows.append(rows.min(axis=1))
        self._highs.append(rows.max(axis=1))
        self._count += rows.shape[0]

    def _halve(self) -> None:
        """Make every two stretches one; an odd one out goes back to the samples that wait."""
        lows, highs = np.concatenate(self._lows), np.concatenate(self._highs)
        if lows.size % 2:
            kept = np.array([lows[-1], highs[-1]], dtype=np.int16)
            self._rest = np.concatenate((np.resize(kept, self.stretch), self._rest))
            lows, highs = lows[:-1], highs[:-1]
        self.stretch *= 2
        self._lows = [lows.reshape(-1, 2).min(axis=1)]
        self._highs = [highs.reshape(-1, 2).max(axis=1)]
        self._count = lows.size // 2


def document(pairs: NDArray[np.int8], *, rate_hz: int, stretch: int) -> bytes:
    """Return peaks as players read them.

    Args:
        pairs: ``(stretches, 2)``, lowest and highest, -128..127.
        rate_hz: Samples a second.
        stretch: Samples of a stretch.

    Source:
        The data format of BBC audiowaveform, version 2, in JSON (audiowaveform, doc/DataFormat.md).
    """
    said = {
        "version": 2,
        "channels": 1,
        "sample_rate": rate_hz,
        "samples_per_pixel": stretch,
        "bits": 8,
        "length": int(pairs.shape[0]),
        "data": [int(one) for one in pairs.reshape(-1)],
    }
    return json.dumps(said, separators=(",", ":")).encode()


def levels(pairs: NDArray[np.int8], bars: int) -> NDArray[np.float32]:
    """Return the greatest magnitude in each of *bars* equal parts, 0..1, for drawing."""
    loudest = np.abs(pairs.astype(np.int16)).max(axis=1) if pairs.size else np.zeros(1, dtype=np.int16)
    edges = np.linspace(0, loudest.size, bars + 1)
    starts, ends = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    return np.array(
        [loudest[start : max(end, start + 1)].max() for start, end in zip(starts, ends, strict=True)],
        dtype=np.float32,
    ) / np.float32(128)
