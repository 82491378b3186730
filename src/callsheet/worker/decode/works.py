"""What decode children can be asked to do: arguments, answers and the functions' names."""

from dataclasses import dataclass, field
from typing import Final, Literal

from callsheet.media.facts import MediaFacts, MediaLimits
from callsheet.media.faults import Fault
from callsheet.media.outputs import PictureFormat
from callsheet.media.sprites import Sheet
from callsheet.media.survey import Survey
from callsheet.models.resize import Resize
from callsheet.worker.sandbox.work import Work


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
    """Of the encoder, 1 to 95."""
    format: PictureFormat = PictureFormat.JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderArguments:
    """Takes one descriptor: the file. Answers with one file for each picture."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureArguments:
    """Takes the file's descriptor, and one to say on how far it is. Answers with one table."""

    begin_s: int = 0
    """The first second that is measured."""
    end_s: int | None = None
    """The first one that is not; None for the end."""
    pixels_max: float = 40e9
    """Pixels of a whole video that are decoded at most; of a larger one only keyframes and what follows them
    for a moment. About three minutes of one core."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured, or why not. The answer's blob is the table of `callsheet.media.series`."""

    identity: str
    sparse: bool = False
    """Whether only keyframes and what follows them were looked at."""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetArguments:
    """Takes one descriptor: the file of a video. Answers with one JPEG."""

    quality: int = 70
    """JPEG quality, 1 to 95."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetMade:
    """The sheet of a video's small pictures, or why there is none. The picture is the answer's blob."""

    identity: str
    sheet: Sheet | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleArguments:
    """Takes one descriptor: the file of a picture or a video. Answers with pictures of one size."""

    count: int
    """Pictures of a video at most; spread evenly over it."""
    size: tuple[int, int]
    """Width and height of each."""
    resize: Resize = Resize.COVER
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What was taken, or why nothing was. The blob is R'G'B', a byte each, one picture after another."""

    identity: str
    pictures: int = 0
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformArguments:
    """Takes one descriptor: the file of a recording. Answers with the peaks as JSON, and a PNG."""

    width: int = 1600
    """Of the picture, in pixels."""
    height: int = 400
    """Of the picture, in pixels."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformMade:
    """What became of it. Peaks and picture are the answer's blobs, in this order; none with a fault."""

    identity: str
    fault: Fault | None = None


PROBE: Final = Work("callsheet.worker.decode.probe:probe", ProbeArguments, Probed)
"""Say what a file is."""
RENDER: Final = Work("callsheet.worker.decode.render:render", RenderArguments, Rendered)
"""Make still pictures of a file, all from one decoding."""
CHECK: Final = Work("callsheet.worker.decode.check:check", CheckArguments, Checked)
"""Say whether a file is whole."""
SURVEY: Final = Work("callsheet.worker.decode.survey:survey", SurveyArguments, Surveyed)
"""Say what an encoder has to know of a file."""
MEASURE: Final = Work("callsheet.worker.decode.measure:measure", MeasureArguments, Measured)
"""Say what a video is like, second by second."""
SHEET: Final = Work("callsheet.worker.decode.tiles:draw_sheet", SheetArguments, SheetMade)
"""Make the small pictures of a video for scrubbing."""
SAMPLE: Final = Work("callsheet.worker.decode.samples:sample", SampleArguments, Sampled)
"""Take pictures for a model out of a file."""
WAVEFORM: Final = Work("callsheet.worker.decode.sound:waveform", WaveformArguments, WaveformMade)
"""Measure how loud a recording is over time, and draw it."""

WARM: Final = (PROBE, RENDER, CHECK, SURVEY, MEASURE, SHEET, SAMPLE, WAVEFORM)
"""What a child imports before it gives up its rights."""
