"""Turns where shots begin into a list of them. Values alone."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pydantic import JsonValue

from callsheet.media.recipes import recipe_of

VERSION: Final = 1
"""Of the list's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A shot: the frames from *start_frame* up to *end_frame*, which is not its own."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as the list says it."""
        return {
            "start": milliseconds_down(self.start_s),
            "end": milliseconds_down(self.end_s),
            "startFrame": self.start_frame,
            "endFrame": self.end_frame,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneWish:
    """What counts as a shot."""

    threshold: float = 3.0
    min_length_s: float = 0.6

    @property
    def recipe(self) -> str:
        """Name it: the same wish finds the same shots in the same content."""
        return recipe_of("scenes", {"threshold": self.threshold, "minLength": self.min_length_s})


def milliseconds_down(instant_s: float) -> float:
    """Return the last millisecond that is not behind an instant: a frame that is sought from it is found."""
    return math.floor(instant_s * 1000 + 1e-6) / 1000


def scenes_of(starts: Sequence[tuple[int, float]], frames: int, end_s: float) -> list[Scene]:
    """Return the shots between these beginnings.

    Args:
        starts: The first frame and its instant of each shot, ascending; the first is frame 0 at 0 s.
        frames: Of the whole video.
        end_s: When its last frame ends.

    Raises:
        ValueError: They are not so.
    """
    bounds = [*starts, (frames, end_s)]
    scenes = [
        Scene(start_s=start_s, end_s=after_s, start_frame=number, end_frame=after)
        for (number, start_s), (after, after_s) in pairwise(bounds)
    ]
    if not scenes or starts[0] != (0, 0.0):
        raise ValueError("the first shot does not begin at the beginning")
    if any(one.start_frame >= one.end_frame or one.start_s > one.end_s for one in scenes):
        raise ValueError("shots do not follow one another")
    return scenes


def scene_list(scenes: Sequence[Scene], wish: SceneWish, detector: str) -> bytes:
    """Return the list as JSON: instants in seconds from its beginning, frames counted from 0."""
    document: dict[str, JsonValue] = {
        "version": VERSION,
        "detector": detector,
        "threshold": wish.threshold,
        "minLength": wish.min_length_s,
        "durationSeconds": milliseconds_down(scenes[-1].end_s),
        "frames": scenes[-1].end_frame,
        "scenes": [one.as_json() for one in scenes],
    }
    return json.dumps(document, separators=(",", ":")).encode()
