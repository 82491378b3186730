"""The choice of frames, sizes, waveforms, identities and names of recipes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media import frames, waveform
from callsheet.media.facts import fit_box, fit_width, upright
from callsheet.media.identity import quick_identity
from callsheet.media.outputs import jpeg_size
from callsheet.media.recipes import still_recipe

BLACK = np.zeros((40, 60), dtype=np.uint8)
GREY = np.full((40, 60), 128, dtype=np.uint8)
SOFT = np.tile(np.linspace(40, 200, 60), (40, 1)).astype(np.uint8)
CRISP = np.tile(np.array([60, 190], dtype=np.uint8), (40, 30))


def test_black_and_even_frames_are_passed_over() -> None:
    assert frames.best_frame([BLACK, GREY, SOFT]) == 2


def test_sharpest_frame_is_chosen() -> None:
    assert frames.best_frame([SOFT, CRISP, BLACK]) == 1


def test_lightest_frame_stands_for_a_video_that_is_black_throughout() -> None:
    assert frames.best_frame([BLACK, BLACK + 9]) == 1
    with pytest.raises(ValueError, match="no frame"):
        frames.best_frame([])


def test_diffuse_white_stays_light_and_black_stays_black() -> None:
    pq_white = np.full((2, 2, 3), round(0.58 * 65535), dtype=np.uint16)  # 203 cd/m²
    assert 180 <= frames.tone_map(pq_white, frames.PQ).min() <= 255
    assert frames.tone_map(np.zeros((2, 2, 3), dtype=np.uint16), frames.PQ).max() == 0
    ramp = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], 3, axis=2)
    for transfer in (frames.PQ, frames.HLG):
        assert np.all(np.diff(frames.tone_map(ramp, transfer)[0, :, 0].astype(int)) >= 0)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 5000))
def test_picture_fits_its_box_and_is_never_enlarged(width: int, height: int, box: int) -> None:
    fitted = fit_box(width, height, box)
    longer, shorter = max(width, height), min(width, height)
    long_side = min(longer, box)
    assert max(fitted) == long_side
    in_proportion = Fraction(shorter * long_side, longer)
    assert abs(min(fitted) - max(in_proportion, Fraction(1))) <= Fraction(1, 2)
    assert (fitted[0] >= fitted[1]) is (width >= height) or fitted[0] == fitted[1]


def test_width_is_obeyed_and_the_height_follows() -> None:
    assert fit_width(1920, 1080, 640) == (640, 360)
    assert fit_width(100, 50, 200) == (200, 100)
    assert upright(1920, 1080, 270) == (1080, 1920)


def test_identity_changes_with_size_and_either_end() -> None:
    names = {quick_identity(10, b"a", b"b"), quick_identity(11, b"a", b"b"), quick_identity(10, b"c", b"b")}
    assert len(names | {quick_identity(10, b"a", b"c")}) == 4
    assert all(len(name) == 64 for name in names)


def test_jpeg_that_is_cut_has_no_size() -> None:
    frame = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x20" + bytes(12)
    assert jpeg_size(frame + b"\xff\xd9") == (32, 16)
    assert jpeg_size(frame) is None
    assert jpeg_size(b"") is None


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_reading_of_a_jpeg(content: bytes) -> None:
    size = jpeg_size(b"\xff\xd8" + content + b"\xff\xd9")
    assert size is None or min(size) > 0


def test_peaks_are_the_loudest_of_each_part() -> None:
    samples = np.array([0, 0.5, -0.9, 0.1, 0, 0], dtype=np.float32)
    assert waveform.peaks(samples, 3).tolist() == pytest.approx([0.5, 0.9, 0.0])
    assert waveform.peaks(np.zeros(0, dtype=np.float32), 4).tolist() == [0, 0, 0, 0]


def test_louder_parts_draw_higher_bars() -> None:
    picture = waveform.draw(np.array([0.1, 0.8], dtype=np.float32), 100, 80)
    inked = (picture != picture[0, 0]).any(axis=2).sum(axis=0)
    assert inked[10] < inked[80]
    assert picture.shape == (80, 100, 3)
    assert waveform.draw(np.zeros(5, dtype=np.float32), 10, 10).mean() > 100


def test_recipe_names_instant_and_width() -> None:
    assert still_recipe(None, None) == "box300-v1"
    assert still_recipe(1.5, 640) == "w640-t1500ms-v1"
    assert len({still_recipe(1.5, None), still_recipe(None, 640), still_recipe(None, 300)}) == 3
