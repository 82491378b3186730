"""Thumbhashes, read back as the published format says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from callsheet.media.thumbhash import SIDE_LIMIT, thumbhash


def mean_colour(hashed: bytes) -> tuple[float, float, float]:
    """Return what the published format says is the mean colour, 0..1."""
    header = int.from_bytes(hashed[:3], "little")
    light = (header & 63) / 63
    yellow_blue = (header >> 6 & 63) / 31.5 - 1
    red_green = (header >> 12 & 63) / 31.5 - 1
    blue = light - 2 / 3 * yellow_blue
    red = (3 * light - blue + red_green) / 2
    return red, red - red_green, blue


def luminance_at(hashed: bytes, x: float, y: float) -> float:
    """Return the luminance that the format's reader draws at a place, 0..1 both ways; without alpha."""
    header = int.from_bytes(hashed[:3], "little")
    second = int.from_bytes(hashed[3:5], "little")
    landscape = bool(second >> 15)
    across = max(3, 7 if landscape else second & 7)
    down = max(3, second & 7 if landscape else 7)
    value, scale = (header & 63) / 63, (header >> 18 & 31) / 31
    place = 0
    for cy in range(down):
        for cx in range(0 if cy else 1, across):
            if cx * down < across * (down - cy):
                nibble = hashed[5 + place // 2] >> (place % 2 * 4) & 15
                place += 1
                wave = (nibble / 7.5 - 1) * scale
                value += wave * 2 * math.cos(math.pi * cx * x) * math.cos(math.pi * cy * y)
    return value


def flat(colour: tuple[int, int, int], width: int = 40, height: int = 30) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 128, 255), (250, 250, 250), (12, 40, 3)])
def test_mean_colour_can_be_read_from_the_hash(colour: tuple[int, int, int]) -> None:
    for said, true in zip(mean_colour(thumbhash(flat(colour))), colour, strict=True):
        assert said == pytest.approx(true / 255, abs=0.04)


def test_light_is_where_the_picture_is_light() -> None:
    pixels = flat((20, 20, 20), 60, 40)
    pixels[:, 30:] = 230
    hashed = thumbhash(pixels)
    assert luminance_at(hashed, 0.9, 0.5) > luminance_at(hashed, 0.1, 0.5) + 0.3


def test_top_is_told_from_bottom() -> None:
    pixels = flat((20, 20, 20), 40, 60)
    pixels[:30] = 230
    hashed = thumbhash(pixels)
    assert luminance_at(hashed, 0.5, 0.1) > luminance_at(hashed, 0.5, 0.9) + 0.3


@settings(max_examples=60)
@given(
    st.integers(1, SIDE_LIMIT), st.integers(1, SIDE_LIMIT), st.sampled_from([3, 4]), st.integers(0, 2**32 - 1)
)
def test_hash_never_exceeds_25_bytes(width: int, height: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    assert 5 < len(thumbhash(pixels)) <= 25


def test_transparency_is_marked_and_wide_pictures_are() -> None:
    clear = np.zeros((30, 60, 4), dtype=np.uint8)
    clear[:, :30] = (255, 0, 0, 255)
    hashed = thumbhash(clear)
    assert hashed[2] >> 7 == 1
    assert hashed[4] >> 7 == 1
    assert thumbhash(flat((1, 2, 3), 30, 40))[2] >> 7 == 0


def test_too_large_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        thumbhash(flat((0, 0, 0), 101, 10))
    with pytest.raises(ValueError, match="height, width"):
        thumbhash(np.zeros((4, 4), dtype=np.uint8))
