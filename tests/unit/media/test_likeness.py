"""Scores of labels: what holds for all embeddings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media.likeness import Matrix, Scoring, chosen, merged, scores, unit

SOFTMAX = Scoring(function="softmax", scale=100.0, bias=0.0)
SIGMOID = Scoring(function="sigmoid", scale=10.0, bias=-5.0)


@st.composite
def matrices(draw: st.DrawFn, columns: int = 4) -> Matrix:
    rows = draw(st.integers(1, 6))
    values = draw(st.lists(st.floats(-1e3, 1e3, width=32), min_size=rows * columns, max_size=rows * columns))
    return np.array(values, dtype=np.float32).reshape(rows, columns)


@given(matrices(), matrices())
def test_labels_of_a_picture_share_one(pictures: Matrix, labels: Matrix) -> None:
    found = scores(pictures, labels, SOFTMAX)

    assert found.shape == (len(pictures), len(labels))
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-4)


@given(matrices(), matrices(), st.sampled_from([SOFTMAX, SIGMOID]))
def test_scores_are_numbers_from_nothing_to_one(pictures: Matrix, labels: Matrix, how: Scoring) -> None:
    found = scores(pictures, labels, how)

    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(matrices())
def test_what_is_made_of_one_length_keeps_its_direction(vectors: Matrix) -> None:
    lengths = np.linalg.norm(unit(vectors).astype(np.float64), axis=1)

    assert all(length == pytest.approx(1, abs=1e-3) or length == 0 for length in lengths)


def test_sigmoid_is_that_of_the_books() -> None:
    found = scores(np.array([[1, 0]], np.float32), np.array([[1, 0], [0, 1]], np.float32), SIGMOID)

    assert found[0].tolist() == pytest.approx([1 / (1 + np.exp(-5)), 1 / (1 + np.exp(5))], rel=1e-5)


@given(matrices(columns=3))
def test_items_score_lies_between_its_pictures_and_not_below_their_mean(found: Matrix) -> None:
    one = merged(found)

    assert (one <= found.max(axis=0) + 1e-3).all()
    assert (one >= found.mean(axis=0) - 1e-1 - abs(found).max() * 1e-5).all()


def test_what_shows_for_a_quarter_of_a_video_counts_in_full() -> None:
    found = np.zeros((8, 2), np.float32)
    found[3:5, 0] = 1.0
    found[0, 1] = 1.0

    assert merged(found).tolist() == [1.0, 0.5]


def test_tags_are_the_best_above_the_threshold_and_those_alike_by_name() -> None:
    found = np.array([0.5, 0.9, 0.5, 0.1], np.float32)

    assert [name for name, _ in chosen("dbac", found, threshold=0.2, most=2)] == ["b", "a"]
    assert len(chosen("dbac", found, threshold=0.2, most=10)) == 3
