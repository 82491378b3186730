"""Chooses the frame that stands for a video, and brings high dynamic range down to a page's."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_POINTS: Final = (0.10, 0.25, 0.50)
"""Where in a video candidates are taken, as parts of its duration."""
PQ: Final = 16
"""The transfer function SMPTE ST 2084, as numbered by ITU-T H.273."""
HLG: Final = 18
"""The transfer function of hybrid log-gamma, as numbered by ITU-T H.273."""
_BLACK_BELOW: Final = 20.0
_FLAT_BELOW: Final = 3.0
_WHITE_NITS: Final = 203.0
_KNEE_NITS: Final = 1000.0

_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
"""BT.2020 to BT.709 in linear light (ITU-R BT.2407-0, table 1)."""


def is_black(luma: NDArray[np.uint8]) -> bool:
    """Say whether a frame shows nothing: dark all over, or one even tone.

    Args:
        luma: ``(height, width)``, 0..255.
    """
    return float(luma.mean()) < _BLACK_BELOW or float(luma.std()) < _FLAT_BELOW


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian: higher for crisp edges, near 0 for blur.

    Args:
        luma: ``(height, width)``, 0..255, at least 3 pixels a side.
    """
    plane = luma.astype(np.float32)
    middle = plane[1:-1, 1:-1]
    edges = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:] - 4 * middle
    return float(edges.var()) if edges.size else 0.0


def best_frame(lumas: Sequence[NDArray[np.uint8]]) -> int:
    """Return the place of the sharpest frame that is not black; of the lightest where all are.

    Raises:
        ValueError: There is no frame.
    """
    if not lumas:
        raise ValueError("no frame to choose from")
    shown = [place for place, luma in enumerate(lumas) if not is_black(luma)]
    if shown:
        return max(shown, key=lambda place: sharpness(lumas[place]))
    return max(range(len(lumas)), key=lambda place: float(lumas[place].mean()) + float(lumas[place].std()))


def tone_map(pixels: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Return the sRGB picture of a frame in BT.2020 with PQ or HLG.

    Diffuse white of 203 cd/m² (ITU-R BT.2408-7) becomes a bright tone, and lights up to
    1,000 cd/m² keep their drawing by Reinhard's extended curve.

    Args:
        pixels: ``(height, width, 3)``, 0..65535, R'G'B'.
        transfer: `PQ` or `HLG`.
    """
    curve = _pq_nits() if transfer == PQ else _hlg_nits()
    light = curve[pixels >> 4] / np.float32(_WHITE_NITS)
    linear = np.maximum(light @ _TO_BT709.T, 0)
    peak = np.float32(_KNEE_NITS / _WHITE_NITS)
    top = linear.max(axis=2, keepdims=True)
    mapped = linear * ((1 + top / (peak * peak)) / (1 + top)) * np.float32(1.4)
    index = np.minimum(mapped * 4095, 4095).astype(np.uint16)
    shown: NDArray[np.uint8] = _srgb_table()[index]
    return shown


def _pq_nits() -> NDArray[np.float32]:
    """Return the light of 4,096 PQ code values in cd/m² (SMPTE ST 2084:2014, 5.1)."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    code = np.linspace(0, 1, 4096) ** (1 / m2)
    light = 10_000 * (np.maximum(code - c1, 0) / (c2 - c3 * code)) ** (1 / m1)
    return light.astype(np.float32)


def _hlg_nits() -> NDArray[np.float32]:
    """Return the light of 4,096 HLG code values on a 1,000 cd/m² display (ITU-R BT.2100-2, table 5).

    The system gamma is applied to each channel, which is near enough for a small picture.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.linspace(0, 1, 4096)
    scene = np.where(code <= 0.5, code * code / 3, (np.exp((code - c) / a) + b) / 12)  # noqa: PLR2004 -- where the curve changes
    return (1000 * scene**1.2).astype(np.float32)


def _srgb_table() -> NDArray[np.uint8]:
    """Return the sRGB code values of 4,096 steps of linear light (IEC 61966-2-1)."""
    light = np.linspace(0, 1, 4096)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)  # noqa: PLR2004 -- where the curve changes
    return np.round(code * 255).astype(np.uint8)
