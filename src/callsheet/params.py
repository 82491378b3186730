"""What each job type takes: one model of its parameters.

Keys are camelCase on the wire, as the documented clients write them. Unknown keys are refused.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from callsheet.media.outputs import PictureFormat

RelativePath = Annotated[str, Field(max_length=4096, pattern=r"^[^/\x00][^\x00]*$")]
"""A path inside a root: relative, with forward slashes. What it resolves to is checked by the worker."""

RootName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
"""The name of a root."""


ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""The name of a model, as its manifest has it."""


#: Marks, in the JSON Schema of a type, the parameter by which its jobs are put into size classes: a number,
#: or a list, of which the length counts; with `ITEM_SIZE` the id of an item of the library, whose megapixels
#: and seconds count. Where no id is given, `root` and `inputPath` name the item.
SIZE_MARK: Final = "x-size"
ITEM_SIZE: Final = "item"
#: Marks the parameter that names a root to write to: only workers that may do so get the job.
WRITES_MARK: Final = "x-writes"

SizingItem = Annotated[UUID | None, Field(json_schema_extra={SIZE_MARK: ITEM_SIZE})]
"""The id of the item whose length and pixels say how large a job is."""

TargetRoot = Annotated[RootName, Field(json_schema_extra={WRITES_MARK: True})]
"""The name of a root to write to."""


class JobParams(BaseModel):
    """The root of all parameter models."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @classmethod
    def schema_for_wire(cls) -> dict[str, JsonValue]:
        """Return the JSON Schema (2020-12) of the parameters as they are written on the wire."""
        schema: dict[str, JsonValue] = cls.model_json_schema(by_alias=True)
        return schema


class NoParams(JobParams):
    """A job type without parameters."""


Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]
"""How much effort an encoder makes, as libx264 names it; cards have the nearest of their own."""


Distribute = Literal["auto", "always", "never"]
"""Whether other workers help with a long video: where one is free, in any case, or not at all."""


class ScanParams(JobParams):
    """Which folder to scan."""

    root: RootName = "library"
    """The root to scan."""
    path: RelativePath | None = None
    """A folder or file in the root; without it, what *directory_type* names."""
    directory_type: RelativePath | None = None
    """A folder below ``library/`` of the root, or the root itself where that folder is absent."""
    skip_existing: bool = True
    """Leave files alone whose size and modification time are as they were."""
    pictures: bool = True
    """Have pictures made of what is found."""


class ValidateParams(JobParams):
    """Which item to check, and how closely."""

    video_id: UUID
    """The item."""
    depth: Annotated[str, Field(pattern="^(probe|demux|decode)$")] = "demux"
    """``probe`` opens it, ``demux`` reads to its end, ``decode`` decodes every frame."""


class ThumbnailGenerateParams(JobParams):
    """Which item to take a picture of."""

    video_id: UUID
    """The item."""
    timestamp: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """Seconds into the video; without it the best of several instants."""
    width: Annotated[int, Field(ge=16, le=8192)] | None = None
    """Width in pixels, the height follows; without it the picture fits a box of 300 by 300."""
    sprite: bool = False
    """Also make a sheet of small pictures for scrubbing, with its WebVTT track; videos only."""


class DerivativeKind(StrEnum):
    """What can be made of items; one that makes no sense for an item is left out there."""

    THUMBNAIL = "thumbnail"
    """With its thumbhash."""
    PREVIEW = "preview"
    WAVEFORM = "waveform"
    """Of recordings: a picture, and the peaks for players."""
    SPRITE = "sprite"
    """Of videos: a sheet of small pictures for scrubbing, and its WebVTT track."""


USUAL_KINDS: Final = (DerivativeKind.THUMBNAIL, DerivativeKind.PREVIEW, DerivativeKind.WAVEFORM)
"""What every item gets without being asked."""


class DerivativesGenerateParams(JobParams):
    """Which items to make derivatives of."""

    item_ids: Annotated[list[UUID], Field(min_length=1, max_length=200, json_schema_extra={SIZE_MARK: True})]
    """The items."""
    kinds: Annotated[tuple[DerivativeKind, ...], Field(min_length=1, max_length=4)] = USUAL_KINDS
    """What to make."""
    force: bool = False
    """Make them again even where they are there."""


class ReencodeStreamingParams(JobParams):
    """Which video to make ready for streaming, and how good."""

    video_id: SizingItem = None
    """The item; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    target_bitrate: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """The most that the pictures take, in kbit/s; the player's buffer is twice that."""
    preset: Preset = "medium"
    """How much effort the encoder makes."""
    crf: Annotated[int, Field(ge=1, le=51)] = 23
    """Quality, where the bitrate allows it: lower is better and larger."""
    output_root: TargetRoot = "outputs"
    """The root to write to."""
    output_path: RelativePath | None = None
    """Where the MP4 is to lie in *output_root*; without it, in ``playback/`` under a name of its own."""
    distribute: Distribute | None = None
    """Have the chunks of a long video done by jobs of their own: ``auto`` where another worker is free;
    without it as the worker is set up."""


class ReencodeChunkParams(JobParams):
    """Which chunk of a re-encode to do, by the plan that the job that submits it has written."""

    video_id: UUID
    """The item."""
    root: RootName
    """The root that it lies in."""
    output_root: TargetRoot
    """The root with the plan, which gets the chunk."""
    parent: UUID
    """The job that the chunk is for."""
    plan: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """The plan's key."""
    codec: Literal["libx264", "h264_nvenc"]
    """What all chunks of the video are encoded by."""
    number: Annotated[int, Field(ge=0, le=10_000)]
    """The chunk, counted from 0."""


class SceneExtractParams(JobParams):
    """Which video to find the shots of, and what counts as one."""

    video_id: SizingItem = None
    """The item; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    threshold: Annotated[float, Field(ge=1, le=100)] = 3.0
    """How many times more than its neighbours a picture has to change to begin a shot; more finds fewer."""
    min_length: Annotated[float, Field(ge=0, le=600)] = 0.6
    """Seconds that a shot lasts at least; what is cut off sooner belongs to the shot before."""
    clips: bool = False
    """Have the shots cut out as well, by jobs of the type `clip_generate`: each becomes an item."""
    count: Annotated[int, Field(ge=1, le=1000)] = 200
    """Clips at most, from the beginning; the list has all shots."""
    output_root: TargetRoot = "outputs"
    """The root that clips are written to."""
    output_path: RelativePath | None = None
    """Where the clips are to lie in *output_root*, as `clip_generate` understands it; numbered beyond 50."""


class MoveToLibraryParams(JobParams):
    """Which file to move, and where to."""

    video_id: UUID | None = None
    """The item, a video or any other; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    directory_type: RelativePath | None = None
    """A folder below ``library/`` of the root, or of the root itself where it has no ``library/``; made where
    it is missing. The file keeps its name."""
    output_path: RelativePath | None = None
    """Where it is to lie instead, with its new name."""
    output_root: RootName | None = None
    """The root to move it to; without it the one that it lies in."""
    skip_existing: bool = False
    """Leave the file where it is if the place is taken, instead of failing."""


Box = Annotated[int, Field(ge=16, le=2048)]
"""The side of a square in pixels that a picture fits."""


class CacheBuildParams(JobParams):
    """What to keep made of the library; without *item_ids* the whole of it, by jobs of its own."""

    roots: Annotated[tuple[RootName, ...], Field(min_length=1, max_length=64)] = ("library",)
    """The roots to look through."""
    path: RelativePath | None = None
    """Only this folder or file of each root."""
    item_ids: Annotated[tuple[UUID, ...], Field(max_length=200, json_schema_extra={SIZE_MARK: True})] = ()
    """Only these items, in this job, without looking for files."""
    kinds: Annotated[tuple[DerivativeKind, ...], Field(min_length=1, max_length=4)] = USUAL_KINDS
    """What to make."""
    boxes: Annotated[tuple[Box, ...], Field(min_length=1, max_length=8)] = (300,)
    """The sizes of thumbnails."""
    format: PictureFormat = PictureFormat.JPEG
    """Of thumbnails and previews. Requests for pictures are answered from JPEG."""
    batch: Annotated[int, Field(ge=1, le=200)] | None = None
    """Items of one job; without it 25, and more where that would make too many jobs."""
    force: bool = False
    """Make everything again."""


class TagGenerationParams(JobParams):
    """Which item to tag, and by which models."""

    video_id: SizingItem = None
    """The item, of any kind; or it is named by *input_path*."""
    input_path: RelativePath | None = None
    """The item's path in *root*, where no id is given."""
    root: RootName = "library"
    """The root that *input_path* lies in."""
    models: Annotated[tuple[ModelName, ...], Field(max_length=16)] | None = None
    """Names of installed models to ask; without it all that are installed, with an empty list none."""
    frames: Annotated[int, Field(ge=1, le=256)] = 16
    """Pictures of a video that a model looks at, spread evenly over it."""


class CacheSweepParams(JobParams):
    """What to remove of what nothing needs any more."""

    roots: Annotated[tuple[RootName, ...], Field(min_length=1, max_length=64)] = ("library",)
    """The roots whose deleted files are looked for."""
    min_age_s: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    """Files that no row points at stay for so long: a worker may still have to report them."""
