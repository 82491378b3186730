"""What a decode child is asked about the shots of a video: arguments, answer, and the function's name."""

from dataclasses import dataclass, field
from typing import Final

from callsheet.media.facts import MediaLimits
from callsheet.media.faults import Fault
from callsheet.worker.sandbox.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotsArguments:
    """Takes the file's descriptor, and one to say on how far it is."""

    threshold: float = 3.0
    """How many times more a picture has to change than its neighbours do, to begin a shot."""
    min_length_s: float = 0.6
    """How long a shot lasts at least."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotsFound:
    """Where shots begin, or why nobody knows."""

    identity: str
    starts: tuple[tuple[int, float], ...] = ()
    """The first frame of each shot, and its instant from the beginning of the file; the first begins at 0."""
    frames: int = 0
    """All frames that were decoded."""
    end_s: float = 0.0
    """When the last of them ends."""
    more: bool = False
    """Whether there are shots beyond `SHOTS_MAX`, which are left in the last."""
    fault: Fault | None = None


SHOTS_MAX: Final = 10_000
"""Shots of one video."""
FIND_SHOTS: Final = Work("callsheet_gpu_worker.detection:find_shots", ShotsArguments, ShotsFound)
"""Find where the shots of a video begin."""
