"""What decode children can be asked to do: arguments, answers and the functions' names."""

from dataclasses import dataclass, field
from typing import Final

from callsheet.media.facts import MediaFacts, MediaLimits
from callsheet.media.faults import Fault
from callsheet.media.survey import Survey
from callsheet.worker.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeArguments:
    """Takes one descriptor: the file."""

    name_promises_media: bool
    """Whether the file's name ends as media does."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a file is. Neither facts nor a fault: no media and not named as such."""

    identity: str
    """The quick identity of the bytes that were looked at."""
    facts: MediaFacts | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture to make."""

    box: int | None = None
    """Fits a square of this many pixels and is never enlarged."""
    width: int | None = None
    """Instead of the box: exactly so wide."""
    quality: int = 82
    """JPEG quality, 1 to 95."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderArguments:
    """Takes one descriptor: the file. Answers with one JPEG for each picture."""

    pictures: tuple[Picture, ...]
    timestamp_s: float | None = None
    """The instant of a video; None for the best of several."""
    hash_too: bool = False
    """Whether to compute the thumbhash."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What became of it. The pictures are the answer's blobs, in order; none with a fault."""

    identity: str
    """The quick identity of the bytes that were decoded."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of each picture."""
    thumbhash_hex: str = ""
    """Empty where none was asked for, or it is no picture or video."""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckArguments:
    """Takes one descriptor: the file."""

    depth: str
    """``probe``, ``demux`` or ``decode``."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The verdict on a file: sound where there is no fault."""

    identity: str
    facts: MediaFacts | None = None
    fault: Fault | None = None
    warnings: tuple[str, ...] = ()
    """What is odd but does no harm."""
    packets: int = 0
    """Packets that were read."""
    frames: int = 0
    """Frames, pictures or pages that were decoded."""
    read_s: float = 0.0
    """The last instant that was reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyArguments:
    """Takes the file's descriptor, and one to say on how far it is."""

    chunk_s: float = 60.0
    """What a chunk should last."""
    chunks_max: int = 200
    """Chunks at most."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A survey, or why there is none."""

    identity: str
    survey: Survey | None = None
    fault: Fault | None = None


PROBE: Final = Work("callsheet.worker.decode.probe:probe", ProbeArguments, Probed)
"""Say what a file is."""
RENDER: Final = Work("callsheet.worker.decode.render:render", RenderArguments, Rendered)
"""Make still pictures of a file, all from one decoding."""
CHECK: Final = Work("callsheet.worker.decode.check:check", CheckArguments, Checked)
"""Say whether a file is whole."""
SURVEY: Final = Work("callsheet.worker.decode.survey:survey", SurveyArguments, Surveyed)
"""Say what an encoder has to know of a file."""

WARM: Final = (PROBE, RENDER, CHECK, SURVEY)
"""What a child imports before it gives up its rights."""
