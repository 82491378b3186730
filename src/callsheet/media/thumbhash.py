"""A picture in at most 25 bytes: what a page shows while the picture loads.

Source: the published ThumbHash format (Evan Wallace, evanw.github.io/thumbhash): a discrete cosine
transform of luminance, two colour differences and alpha, quantised to four bits a coefficient.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE_LIMIT: Final = 100
"""The longest side of the picture that is given, in pixels; more would add nothing but time."""

Plane = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Channel:
    """One transformed plane: its mean, the rest between 0 and 1, and what the rest was scaled by."""

    mean: float
    waves: tuple[float, ...]
    scale: float


def thumbhash(pixels: NDArray[np.uint8]) -> bytes:
    """Return the ThumbHash of a picture.

    Args:
        pixels: ``(height, width, 3 or 4)``, sRGB with or without straight alpha, at most
            `SIDE_LIMIT` a side.

    Raises:
        ValueError: The array has another shape, or a side is out of bounds.
    """
    height, width = _checked_size(pixels)
    rgba = pixels.astype(np.float64) / 255.0
    alpha: Plane = rgba[..., 3] if rgba.shape[2] == 4 else np.ones((height, width))  # noqa: PLR2004 -- the fourth is alpha
    has_alpha = bool(alpha.sum() < width * height)
    light, yellow_blue, red_green = _planes(rgba, alpha)
    limit = 5 if has_alpha else 7
    across = max(1, _round(limit * width / max(width, height)))
    down = max(1, _round(limit * height / max(width, height)))
    channels = [
        _transform(light, max(3, across), max(3, down)),
        _transform(yellow_blue, 3, 3),
        _transform(red_green, 3, 3),
    ]
    if has_alpha:
        channels.append(_transform(alpha, 5, 5))
    return _header(channels, across, down, landscape=width > height) + _nibbles(channels)


def _checked_size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    if pixels.ndim != 3 or pixels.shape[2] not in {3, 4}:  # noqa: PLR2004 -- rows, columns, channels
        raise ValueError(f"pixels must be (height, width, 3 or 4), not {pixels.shape}")
    height, width = int(pixels.shape[0]), int(pixels.shape[1])
    if not (1 <= height <= SIDE_LIMIT and 1 <= width <= SIDE_LIMIT):
        raise ValueError(f"a side must be 1 to {SIDE_LIMIT} pixels, not {width}x{height}")
    return height, width


def _planes(rgba: Plane, alpha: Plane) -> tuple[Plane, Plane, Plane]:
    """Return luminance and colour differences, laid on the mean colour where the picture is clear."""
    total = float(alpha.sum())
    mean: Plane = (rgba[..., :3] * alpha[..., None]).sum(axis=(0, 1)) / total if total else np.zeros(3)
    laid: Plane = mean * (1 - alpha[..., None]) + rgba[..., :3] * alpha[..., None]
    red, green, blue = laid[..., 0], laid[..., 1], laid[..., 2]
    return (red + green + blue) / 3, (red + green) / 2 - blue, red - green


def _transform(plane: Plane, across: int, down: int) -> _Channel:
    height, width = plane.shape
    columns = np.cos(np.pi / width * np.outer(_steps(across), _steps(width) + 0.5))
    rows = np.cos(np.pi / height * np.outer(_steps(down), _steps(height) + 0.5))
    table: Plane = rows @ plane @ columns.T / (width * height)
    waves = [
        float(table[y, x])
        for y in range(down)
        for x in range(across)
        if x * down < across * (down - y) and (x or y)
    ]
    scale = max((abs(wave) for wave in waves), default=0.0)
    if scale:
        waves = [0.5 + 0.5 / scale * wave for wave in waves]
    return _Channel(mean=float(table[0, 0]), waves=tuple(waves), scale=scale)


def _steps(count: int) -> Plane:
    return np.arange(count, dtype=np.float64)


def _header(channels: list[_Channel], across: int, down: int, *, landscape: bool) -> bytes:
    light, yellow_blue, red_green = channels[:3]
    has_alpha = len(channels) > 3  # noqa: PLR2004 -- the fourth is alpha
    first = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow_blue.mean) << 6
        | _round(31.5 + 31.5 * red_green.mean) << 12
        | _round(31 * light.scale) << 18
        | has_alpha << 23
    )
    second = (
        (down if landscape else across)
        | _round(63 * yellow_blue.scale) << 3
        | _round(63 * red_green.scale) << 9
        | landscape << 15
    )
    header = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    if has_alpha:
        alpha = channels[3]
        header += bytes([_round(15 * alpha.mean) | _round(15 * alpha.scale) << 4])
    return header


def _nibbles(channels: list[_Channel]) -> bytes:
    quantised = [_round(15 * wave) for channel in channels for wave in channel.waves]
    if len(quantised) % 2:
        quantised.append(0)
    return bytes(low | high << 4 for low, high in zip(quantised[::2], quantised[1::2], strict=True))


def _round(value: float) -> int:
    """Round halves up, as the format does; Python's rounding would go to even."""
    return math.floor(value + 0.5)
