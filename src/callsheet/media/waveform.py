"""Draws the loudness of a recording over time."""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

BARS: Final = 200
"""Bars of the picture."""
_PAPER: Final = (244, 245, 247)
_INK: Final = (52, 104, 168)
_FAINTEST: Final = 0.01


def peaks(samples: NDArray[np.float32], bars: int) -> NDArray[np.float32]:
    """Return the greatest magnitude in each of *bars* equal parts; 0 for parts without a sample.

    Args:
        samples: One channel, -1..1.
        bars: How many parts, at least 1.
    """
    edges = np.linspace(0, samples.size, bars + 1).astype(np.int64)
    magnitude = np.abs(samples)
    return np.array(
        [magnitude[start:end].max() if end > start else 0.0 for start, end in pairwise(edges.tolist())],
        dtype=np.float32,
    )


def draw(levels: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture of the levels as bars around the middle line, the loudest of full height.

    Args:
        levels: Magnitudes, 0 or more; another scale changes nothing.
        width: Pixels, at least 1.
        height: Pixels, at least 2.

    Returns:
        ``(height, width, 3)``, sRGB.
    """
    loudest = float(levels.max()) if levels.size else 0.0
    relative = levels / loudest if loudest > 0 else np.zeros(max(1, levels.size), dtype=np.float32)
    place = np.arange(width) * relative.size / width
    level = np.maximum(relative[place.astype(np.int64)], _FAINTEST)
    gap = (place % 1.0) > 0.7 if width >= relative.size * 3 else np.zeros(width, dtype=np.bool_)  # noqa: PLR2004 -- part of a bar
    distance = np.abs(np.arange(height) - (height - 1) / 2) / (height / 2)
    inked = (distance[:, None] <= level[None, :] * 0.94) & ~gap[None, :]
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = _PAPER
    picture[inked] = _INK
    return picture
