"""Finds the moments of a video that are worth showing: scores of seconds, and segments chosen by them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsheet.media.series import Series

Scores = NDArray[np.float64]
"""One score a second: ``(seconds,)``; 0 is usual for its video."""

SEGMENT_S: Final = 4.0
"""What a segment of a digest lasts, about."""
SEGMENTS_MAX: Final = 120
"""Of one digest; a longer one has longer segments."""
HIGHLIGHT_SHARE: Final = 0.25
"""The part of a digest's segments that are its highlights, wherever they lie."""
DEAD_SHARE: Final = 0.2
"""The share of black pictures, or twice that of frozen ones, from which on a segment is dead: it is taken
only for want of others."""
_BLACK_COST: Final = 8.0
_FROZEN_COST: Final = 4.0
_MOST: Final = 3.0
_EVEN: Final = 1e-3
_QUIETEST_DB: Final = -60.0
_SAME_S: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a video."""

    start_s: float
    length_s: float
    score: float = 0.0
    """The mean score of its seconds."""

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A video as it is chosen from."""

    duration_s: float
    """More than 0."""
    score: Scores
    """Of each second."""
    dead: Scores
    """Of each second: the share of pictures that are black, and half of those that are frozen, 0 to 1."""

    def segment(self, start_s: float, length_s: float) -> Segment:
        """Return a segment with its score."""
        return self.segments(np.array([start_s]), length_s)[0]

    def segments(self, starts: Scores, length_s: float) -> list[Segment]:
        """Return segments with their scores."""
        means = _means(self.score, starts, length_s)
        return [
            Segment(start_s=float(start), length_s=length_s, score=float(mean))
            for start, mean in zip(starts, means, strict=True)
        ]

    def is_dead(self, segment: Segment) -> bool:
        """Say whether too much of a segment is black or frozen."""
        share = _means(self.dead, np.array([segment.start_s]), segment.length_s)
        return float(share[0]) >= DEAD_SHARE


def timeline_of(series: Series, duration_s: float) -> Timeline:
    """Return the timeline of a measured video.

    A second's score is the sum of the standard scores of motion and loudness, half of those of sharpness and
    colour, less 8 for black and 4 for frozen pictures. Nobody looks for faces.
    """
    loudness = np.maximum(series.loudness_db, _QUIETEST_DB)
    score = standard(series.motion) + standard(loudness)
    score += 0.5 * standard(np.log1p(series.sharpness)) + 0.5 * standard(series.colourfulness)
    score -= _BLACK_COST * series.black + _FROZEN_COST * series.frozen
    dead = np.minimum(1.0, series.black + 0.5 * series.frozen).astype(np.float64)
    return Timeline(duration_s=duration_s, score=score, dead=dead)


def standard(values: NDArray[np.floating]) -> Scores:
    """Return how many standard deviations a value is above the mean, -3 to 3; 0 where all are the same."""
    exact = values.astype(np.float64)
    if not exact.size or exact.std() < _EVEN:
        return np.zeros_like(exact)
    found: Scores = np.clip((exact - exact.mean()) / exact.std(), -_MOST, _MOST)
    return found


def digest(timeline: Timeline, target_s: float, *, highlights: bool) -> list[Segment]:
    """Return segments that tell a video in *target_s* seconds, in order, none overlapping.

    The video is cut into equal bins; the best segment of each is taken. With *highlights* a quarter of
    them are the best of all instead. What is black or frozen is left out where others can take its place.

    Args:
        timeline: Of a video that lasts longer than *target_s*.
        target_s: What the segments last together; exactly, as far as the video has room for them.
        highlights: Whether the best moments come in, wherever they are.
    """
    total = max(1, min(SEGMENTS_MAX, round(target_s / SEGMENT_S)))
    length_s = target_s / total
    chosen = _best(timeline, length_s, max(1, round(total * HIGHLIGHT_SHARE)), 0.0) if highlights else []
    best_of_bins = _of_bins(timeline, length_s, total - len(chosen), chosen)
    chosen += [one for one in best_of_bins if not timeline.is_dead(one)]
    chosen += _best(timeline, length_s, total - len(chosen), 0.0, chosen)
    for one in best_of_bins:
        if len(chosen) < total and _apart(one, chosen, 0.0):
            chosen.append(one)
    chosen += _best(timeline, length_s, total - len(chosen), 0.0, chosen, dead_too=True)
    return _joined(chosen, timeline)


def highlights(timeline: Timeline, *, most: int, length_s: float, spacing_s: float) -> list[Segment]:
    """Return the best segments of a video, in order, none overlapping.

    Args:
        timeline: Of the video.
        most: Segments at most.
        length_s: What each lasts; all of a shorter video is one.
        spacing_s: Seconds between two of them at least; halved as often as it takes to find *most*.
    """
    if length_s >= timeline.duration_s:
        return [timeline.segment(0.0, timeline.duration_s)]
    chosen: list[Segment] = []
    for halved in count():
        gap_s = spacing_s / 2**halved if spacing_s / 2**halved >= 1 else 0.0
        chosen += _best(timeline, length_s, most - len(chosen), gap_s, chosen)
        if len(chosen) >= most or gap_s == 0:
            break
    if not chosen:
        chosen = _best(timeline, length_s, most, 0.0, dead_too=True)
    return sorted(chosen, key=lambda one: one.start_s)


def _best(
    timeline: Timeline,
    length_s: float,
    most: int,
    gap_s: float,
    beside: Sequence[Segment] = (),
    *,
    dead_too: bool = False,
) -> list[Segment]:
    """Return the best segments that lie apart from one another and from those *beside*, best first."""
    starts = _starts(0.0, timeline.duration_s, length_s)
    if not dead_too:
        starts = starts[_means(timeline.dead, starts, length_s) < DEAD_SHARE]
    chosen: list[Segment] = []
    for one in sorted(timeline.segments(starts, length_s), key=lambda one: (-one.score, one.start_s)):
        if len(chosen) >= most:
            break
        if _apart(one, [*beside, *chosen], gap_s):
            chosen.append(one)
    return chosen


def _of_bins(timeline: Timeline, length_s: float, bins: int, beside: Sequence[Segment]) -> list[Segment]:
    """Return the best segment of each bin in which one has room, in order."""
    chosen: list[Segment] = []
    for number in range(bins):
        begin, end = (timeline.duration_s * edge / bins for edge in (number, number + 1))
        inside = timeline.segments(_starts(begin, end, length_s), length_s)
        candidates = [one for one in inside if _apart(one, beside, 0.0)]
        if candidates:
            chosen.append(max(candidates, key=lambda one: (one.score, -one.start_s)))
    return chosen


def _starts(begin_s: float, end_s: float, length_s: float) -> Scores:
    """Return the instants at which a segment may begin: whole seconds, and the first and the last."""
    last = end_s - length_s
    if last < begin_s - _SAME_S:
        return np.empty(0)
    whole: Scores = np.arange(np.ceil(begin_s), np.floor(max(begin_s, last)) + 1, dtype=np.float64)
    return np.unique(np.concatenate([[begin_s], whole, [max(begin_s, last)]]))


def _apart(one: Segment, others: Iterable[Segment], gap_s: float) -> bool:
    return all(
        one.end_s + gap_s <= other.start_s + _SAME_S or other.end_s + gap_s <= one.start_s + _SAME_S
        for other in others
    )


def _joined(segments: Sequence[Segment], timeline: Timeline) -> list[Segment]:
    """Return segments in order; those that touch are one."""
    joined: list[Segment] = []
    for one in sorted(segments, key=lambda one: one.start_s):
        if joined and one.start_s - joined[-1].end_s < _SAME_S:
            before = joined.pop()
            joined.append(timeline.segment(before.start_s, one.end_s - before.start_s))
        else:
            joined.append(one)
    return joined


def _means(values: Scores, starts: Scores, length_s: float) -> Scores:
    """Return the means of a figure of seconds over parts of the time; its last second lasts for ever."""
    if not values.size:
        return np.zeros_like(starts)
    ends = np.minimum(starts + length_s, values.size)
    begins = np.minimum(starts, ends - _SAME_S)
    places = np.arange(values.size + 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    found: Scores = (np.interp(ends, places, sums) - np.interp(begins, places, sums)) / (ends - begins)
    return found
