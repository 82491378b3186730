"""What a reel is to be made of, and how far it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from callsheet.media.compilation import Clip
from callsheet.media.encoders import Encoder
from callsheet.media.survey import Survey
from callsheet.v1.library_service_pb2 import BrokenItem, Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.outputs import Expected, Place
from callsheet.worker.encode.runs import Meter

CLIPS_PERCENT: Final = 90
"""The progress that the last clip's end stands for, where they are only joined afterwards."""
GROUP_PARTS: Final = 64
"""Clips that one command joins, and files that it holds open. Longer reels are joined in two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a reel."""

    item: Item
    title: str
    """Of its chapter."""
    take: Callable[[Survey], Clip]
    """Decides what is taken of the video, once that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A reel that is to be made."""

    place: Place
    kind: str
    """Of the derivative that points from its first source."""
    size: tuple[int, int]
    parts: Sequence[Part]
    """At least one. Parts of one video that follow one another share a survey."""
    length_s: float
    """About."""
    segments: str = ""
    """Names what is taken of the parts, where the recipe and their contents leave that open."""
    begin_percent: int = 0
    """Of the job's progress."""
    survey: tuple[str, Survey] | None = None
    """Of an item that was looked at already, by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A part that is whole."""

    number: int
    """Its place in the plan."""
    clip: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one encoder made, for later attempts."""

    encoder: Encoder
    clips: Chunks
    groups: Chunks
    """Clips that are joined already, of a long reel."""
    records: Chunks
    """What each group is made of."""

    async def remove(self) -> None:
        """Remove all of it."""
        for one in (self.clips, self.groups, self.records):
            await one.remove()


@dataclass(slots=True, kw_only=True)
class Reel:
    """A reel in the making."""

    context: JobContext
    plan: Plan
    kept: Kept
    ffmpeg: str
    """The first line of ``ffmpeg -version``."""
    meter: Meter
    taken: list[Taken] = field(default_factory=list[Taken])
    dropped: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The numbers of parts that could not be used, and why."""
    broken: list[BrokenItem] = field(default_factory=list[BrokenItem])
    survey: tuple[str, Survey] | None = None
    """Of the item that was looked at last."""

    @property
    def grouped(self) -> bool:
        """Whether it is joined in two steps."""
        return len(self.plan.parts) > GROUP_PARTS

    def in_groups(self) -> Iterator[tuple[int, range]]:
        """Yield the numbers of the parts, group by group."""
        count = len(self.plan.parts)
        for group, begin in enumerate(range(0, count, GROUP_PARTS)):
            yield group, range(begin, min(begin + GROUP_PARTS, count))

    def piece_of(self, number: int) -> int:
        """Return the number of the kept file that a part lies in at last."""
        return number // GROUP_PARTS if self.grouped else number


def expected_of(taken: Sequence[Taken]) -> Expected:
    """Return what the join of clips has to be."""
    length_s = float(sum(one.clip.length_s for one in taken))
    return Expected(duration_s=length_s, audio_s=length_s, frames=sum(one.clip.frames for one in taken))
