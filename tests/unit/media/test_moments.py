"""Segments that are chosen by what is shown: laws that hold for every video, and what is left out."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from callsheet.media.moments import (
    SEGMENT_S,
    SEGMENTS_MAX,
    Segment,
    Timeline,
    digest,
    highlights,
    standard,
    timeline_of,
)
from callsheet.media.series import COLUMNS, series_of

SCORES = st.lists(
    st.tuples(st.floats(-10, 10), st.sampled_from([0.0, 0.0, 0.0, 1.0])), min_size=1, max_size=90
)


def timeline(seconds: list[tuple[float, float]], short_s: float = 0.0) -> Timeline:
    """Of a video whose last second is cut short."""
    return Timeline(
        duration_s=len(seconds) - short_s,
        score=np.array([score for score, _ in seconds]),
        dead=np.array([dead for _, dead in seconds]),
    )


def lie_within(segments: list[Segment], duration_s: float) -> bool:
    inside = all(one.start_s >= 0 and one.end_s <= duration_s + 1e-6 for one in segments)
    return inside and all(after.start_s >= one.end_s - 1e-6 for one, after in pairwise(segments))


@settings(deadline=None)
@given(SCORES, st.floats(0, 0.9), st.floats(0.05, 1), st.sampled_from(["bins", "best"]))
def test_digest_lies_in_order_within_the_video_and_lasts_as_long_as_asked(
    seconds: list[tuple[float, float]], short_s: float, share: float, kind: str
) -> None:
    video = timeline(seconds, short_s)
    target_s = video.duration_s * share * 0.99

    found = digest(video, target_s, highlights=kind == "best")
    together = sum(one.length_s for one in found)
    length_s = target_s / max(1, min(SEGMENTS_MAX, round(target_s / SEGMENT_S)))
    last_s = video.duration_s - length_s
    room = [
        start
        for start in [*map(float, range(int(last_s) + 1)), last_s]
        if all(start + length_s <= one.start_s or one.end_s <= start for one in found)
    ]

    assert found
    assert len(found) <= SEGMENTS_MAX
    assert lie_within(found, video.duration_s)
    assert together <= target_s + 1e-6
    assert together == pytest.approx(target_s, rel=1e-6) or (together < target_s and not room)
    if share < 0.4:
        assert together == pytest.approx(target_s, rel=1e-6)


@settings(deadline=None)
@given(SCORES, st.integers(1, 12), st.floats(0.3, 8), st.floats(0, 20))
def test_highlights_lie_in_order_hold_the_best_and_are_as_many_as_asked_or_as_fit(
    seconds: list[tuple[float, float]], most: int, length_s: float, spacing_s: float
) -> None:
    video = timeline(seconds)
    assume(length_s < video.duration_s)
    last_s = video.duration_s - length_s
    possible = [video.segment(start, length_s) for start in [*map(float, range(int(last_s) + 1)), last_s]]
    wanted = [one for one in possible if not video.is_dead(one)] or possible

    found = highlights(video, most=most, length_s=length_s, spacing_s=spacing_s)
    room = [
        one
        for one in wanted
        if all(one.end_s <= other.start_s or other.end_s <= one.start_s for other in found)
    ]

    assert lie_within(found, video.duration_s)
    assert all(one.length_s == length_s for one in found)
    assert {one.start_s for one in found} <= {one.start_s for one in wanted}
    assert max(one.score for one in found) == max(one.score for one in wanted)
    assert len(found) == most or (len(found) < most and not room)


def test_highlights_of_a_video_that_is_shorter_than_one_of_them_are_all_of_it() -> None:
    video = timeline([(1.0, 0.0)] * 3)

    assert highlights(video, most=5, length_s=4, spacing_s=0) == [video.segment(0.0, 3.0)]


@given(st.lists(st.floats(0, 255), min_size=2, max_size=50), st.floats(0.5, 4), st.floats(-50, 50))
def test_standard_scores_do_not_depend_on_the_unit(values: list[float], scale: float, shift: float) -> None:
    here = np.array(values)
    if here.std() > 0.01:
        assert standard(here * scale + shift) == pytest.approx(standard(here), abs=1e-6)
    assert np.abs(standard(here)).max() <= 3


def test_digest_takes_the_best_of_each_bin() -> None:
    seconds = [(0.0, 0.0)] * 40
    for second in (3, 15, 21, 38):
        seconds[second] = (5.0, 0.0)

    found = digest(timeline(seconds), 16, highlights=False)

    covered = [
        second for second in (3, 15, 21, 38) if any(one.start_s <= second < one.end_s for one in found)
    ]
    assert covered == [3, 15, 21, 38]
    assert sum(one.length_s for one in found) == 16


def test_digest_with_highlights_has_the_two_best_moments_of_one_bin() -> None:
    seconds = [(0.0, 0.0)] * 160
    for second in (*range(20, 24), *range(30, 34)):
        seconds[second] = (5.0, 0.0)
    instants = (20, 30)

    def shown(found: list[Segment]) -> int:
        return sum(any(one.start_s == at for one in found) for at in instants)

    assert shown(digest(timeline(seconds), 16, highlights=True)) == 2
    assert shown(digest(timeline(seconds), 16, highlights=False)) == 1


def test_black_and_frozen_parts_are_left_out_where_others_can_take_their_place() -> None:
    seconds = [(0.0, 0.0)] * 20 + [(9.0, 1.0)] * 20

    for found in (
        digest(timeline(seconds), 12, highlights=False),
        digest(timeline(seconds), 12, highlights=True),
        highlights(timeline(seconds), most=3, length_s=4, spacing_s=8),
    ):
        assert found[-1].end_s <= 21
        assert sum(one.length_s for one in found) == pytest.approx(12)


def test_video_that_never_moves_is_told_all_the_same() -> None:
    still = timeline([(-4.0, 1.0)] * 60)

    assert len(digest(still, 12, highlights=True)) == 3
    assert len(highlights(still, most=3, length_s=4, spacing_s=8)) == 3


def test_highlights_keep_their_distance_while_there_is_room() -> None:
    seconds = [(5.0, 0.0) if 20 <= second < 40 else (0.0, 0.0) for second in range(100)]

    near = highlights(timeline(seconds), most=3, length_s=4, spacing_s=0)
    far = highlights(timeline(seconds), most=3, length_s=4, spacing_s=30)

    assert len(near) == 3
    assert all(20 <= one.start_s <= 36 for one in near)
    assert min(after.start_s - one.end_s for one, after in pairwise(far)) >= 30


def test_moving_loud_and_colourful_seconds_score_higher_than_still_quiet_grey_and_black_ones() -> None:
    usual = dict(zip(COLUMNS, (3.0, 90.0, 300.0, 20.0, 0.0, 0.0, -30.0, 3.0, 0.5), strict=True))
    better = [{}, {"motion": 12.0}, {"loudness_db": -12.0}, {"colourfulness": 60.0}, {"sharpness": 900.0}]
    worse = [{"motion": 0.5}, {"loudness_db": -55.0}, {"black": 1.0}, {"frozen": 1.0}]
    rows = [list((usual | change).values()) for change in (*better, *worse, *[{}] * 20)]

    score = timeline_of(series_of([np.array(rows, dtype=np.float32)]), len(rows)).score

    assert (score[1:5] > score[0] + 0.5).all()
    assert (score[5:9] < score[0] - 0.5).all()
    assert score[7] == score.min()
