"""Figures of seconds: their units, and what stands where nothing was decoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media.series import (
    COLUMNS,
    PICTURE_COLUMNS,
    SILENCE_DB,
    SOUND_RATE_HZ,
    colourfulness,
    luma_of,
    motion_between,
    picture_figures,
    series_of,
    sound_figures,
    table_of,
)

LEVELS = st.lists(st.one_of(st.none(), st.floats(0, 255, width=32)), max_size=40)


def table(levels: list[float | None]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """A video of which some seconds were not decoded, without sound."""
    made = np.full((len(levels), len(COLUMNS)), np.nan, dtype=np.float32)
    for second, level in enumerate(levels):
        if level is not None:
            made[second, :PICTURE_COLUMNS] = level
    return made


@given(LEVELS, st.integers(0, 40))
def test_parts_put_together_are_the_whole(levels: list[float | None], cut: int) -> None:
    whole = table(levels)

    assert np.array_equal(
        series_of([whole[:cut], table_of(whole[cut:].tobytes())]).brightness, series_of([whole]).brightness
    )


@given(LEVELS)
def test_second_without_pictures_has_the_figures_of_the_nearest_that_has(levels: list[float | None]) -> None:
    found = series_of([table(levels)])
    known = [second for second, level in enumerate(levels) if level is not None]

    assert found.seconds == len(levels)
    assert found.pictures == bool(known)
    assert not found.sound
    assert (found.loudness_db == SILENCE_DB).all()
    for second, level in enumerate(found.brightness.tolist() if known else []):
        nearest = min(known, key=lambda one: (abs(one - second), one))
        assert level == np.float32(levels[nearest])


def test_video_without_pictures_counts_as_black() -> None:
    assert series_of([table([None, None])]).black.tolist() == [1, 1]


@given(st.integers(0, 255))
def test_grey_has_no_colour_and_an_even_tone_shows_nothing(level: int) -> None:
    grey = np.full((9, 16, 3), level, dtype=np.uint8)

    assert colourfulness(grey) == pytest.approx(0, abs=0.01)
    assert picture_figures(grey) == pytest.approx((level, 0, 0, 1), abs=0.01)


def test_motion_is_the_mean_difference_in_levels() -> None:
    before, after = (np.full((4, 4), level, dtype=np.uint8) for level in (250, 10))
    half = after.copy()
    half[:2] = 250

    assert motion_between(before, after) == motion_between(after, before) == 240
    assert motion_between(before, half) == 120
    assert motion_between(before, before) == 0


def test_luma_weighs_green_most() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)

    assert luma_of(colours).tolist() == [[76, 150, 29]]


def tone(pitch_hz: float, *, syllables: bool = False) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """A second of a tone; with syllables it is there four times."""
    instants = np.arange(SOUND_RATE_HZ) / SOUND_RATE_HZ
    there = np.sin(2 * np.pi * 4 * instants) > 0 if syllables else 1
    return np.asarray(np.sin(2 * np.pi * pitch_hz * instants) * there / 2, dtype=np.float32)


def test_tone_in_the_voice_band_is_told_from_one_above_it() -> None:
    assert sound_figures(tone(1000))[0] == pytest.approx(-9.03, abs=0.05)
    assert sound_figures(tone(1000))[2] > 0.99
    assert sound_figures(tone(6000))[2] < 0.01


def test_syllables_swing_and_a_steady_tone_does_not() -> None:
    assert sound_figures(tone(1000, syllables=True))[1] > 20
    assert sound_figures(tone(1000))[1] < 1


def test_silence_is_quiet_and_has_no_voice() -> None:
    assert sound_figures(np.zeros(800, dtype=np.float32)) == (SILENCE_DB, 0, 0)
