"""What the job types take that join or cut videos: compilations, digests, highlights and clips."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from callsheet.params import SIZE_MARK, JobParams, RelativePath, RootName, SizingItem, TargetRoot


class CompileRandomParams(JobParams):
    """Which videos to join, and in which shape."""

    count: Annotated[int, Field(ge=1, le=100, json_schema_extra={SIZE_MARK: True})] = 10
    """How many videos, as far as there are so many that fit."""
    min_duration: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Seconds that a video lasts at least."""
    max_duration: Annotated[float, Field(gt=0, le=86_400)] = 86_400.0
    """Seconds that a video lasts at most."""
    orientation: Literal["any", "landscape", "portrait", "square"] = "any"
    """Only videos of this shape; it decides the compilation's too, which is 720 pixels on its short side."""
    clip_length: Annotated[float, Field(ge=0.5, le=3600)] | None = None
    """Seconds that are taken from the middle of each video; without it the whole video."""
    seed: Annotated[str, Field(max_length=64)] | None = None
    """The same seed chooses the same of the same library; without it each job chooses anew."""
    root: RootName = "library"
    """The root to choose from."""
    path: RelativePath | None = None
    """Only videos in this folder of the root, and below."""
    output_root: TargetRoot = "outputs"
    """The root to write to."""
    output_path: RelativePath | None = None
    """Where the MP4 is to lie in *output_root*; without it, in ``compilations/`` under a name of its own."""


class CompileMegaParams(CompileRandomParams):
    """Which many videos to join, and in which shape; or exactly which."""

    count: Annotated[int, Field(ge=1, le=300, json_schema_extra={SIZE_MARK: True})] = 100
    """How many videos, as far as there are so many that fit."""
    video_ids: Annotated[tuple[UUID, ...], Field(max_length=300)] = ()
    """These items in this order, whatever fits; without them they are chosen."""
    order: Literal["random", "path"] = "random"
    """In which order those that were chosen follow one another."""


class OneVideoParams(JobParams):
    """Which video to take, and where to write what is made of it."""

    video_id: SizingItem = None
    """The item; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    output_root: TargetRoot = "outputs"
    """The root to write to."""
    output_path: RelativePath | None = None
    """Where the MP4 is to lie in *output_root*; without it, in ``compilations/`` under a name of its own."""


class DigestGenerateParams(OneVideoParams):
    """Which video to tell in short, and how short."""

    target_length: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Seconds that the digest lasts. A video that lasts no longer is taken as a whole."""
    include_highlights: bool = True
    """Give a quarter of it to the best moments, wherever they are; else every part of the video gets the
    same share."""


class HighlightGenerateParams(OneVideoParams):
    """Which video to show the best moments of, and how many."""

    count: Annotated[int, Field(ge=1, le=50)] = 6
    """How many moments, as far as there is room for them."""
    clip_length: Annotated[float, Field(ge=0.5, le=60)] = 5.0
    """Seconds of each."""
    target_length: Annotated[float, Field(ge=0.5, le=3000)] | None = None
    """Seconds of all together: as many moments as fit into it, at most 50, instead of *count*."""
    spacing: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds between two moments at least; less where the video has no room for that."""


class ClipRange(JobParams):
    """A part of a video."""

    start: Annotated[float, Field(ge=0, le=86_400)]
    """Seconds into the video at which it begins."""
    end: Annotated[float, Field(gt=0, le=86_400)]
    """Seconds into the video at which it ends."""


class ClipGenerateParams(OneVideoParams):
    """Which parts to cut out: those that a digest is made of, or given ones of any video."""

    ranges: Annotated[tuple[ClipRange, ...], Field(max_length=50, json_schema_extra={SIZE_MARK: True})] = ()
    """The parts; without them the video has to be a digest or a reel of highlights, and the parts that it
    is made of are cut out of its source."""
    count: Annotated[int, Field(ge=1, le=50)] = 50
    """How many at most: the best of a digest, the first of given ones."""
    exact: bool = False
    """Encode again, so that each begins and ends at its very frame. Else the streams are copied where MP4
    can hold them, from the keyframe before to the keyframe behind."""
    output_path: RelativePath | None = None
    """Where the MP4 is to lie in *output_root*; of several, the number of each stands before the ending:
    ``clips/a-1.mp4``. Without it, in ``compilations/`` under names of their own."""


class CompileQuadParams(CompileRandomParams):
    """Which four videos to show at once, and in which shape."""

    count: Annotated[int, Field(ge=1, le=4, json_schema_extra={SIZE_MARK: True})] = 4
    """How many videos, as far as there are so many that fit; the tiles of the others stay black."""
    video_ids: Annotated[tuple[UUID, ...], Field(max_length=4)] = ()
    """These items in reading order, whatever fits; without them they are chosen."""


class CompileGifParams(JobParams):
    """Which part of a video to make an animation of."""

    video_id: UUID | None = None
    """The item; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    timestamp: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Seconds into the video at which it begins."""
    duration: Annotated[float, Field(ge=0.1, le=15)] = 5.0
    """Seconds that it lasts, as far as the video does."""
    width: Annotated[int, Field(ge=16, le=1280)] = 480
    """Pixels; the height follows. Nothing is enlarged."""
    fps: Annotated[int, Field(ge=1, le=30)] = 12
    """Frames per second."""
    format: Literal["gif", "webp"] = "gif"
    """An animated WebP takes about a third of a GIF."""
    output_root: TargetRoot = "outputs"
    """The root to write to."""
    output_path: RelativePath | None = None
    """Where it is to lie in *output_root*; without it, in ``compilations/`` under a name of its own."""
