"""The job types that Callsheet ships: category, VRAM, run limit, parameters."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from callsheet.params import (
    CacheBuildParams,
    CacheSweepParams,
    DerivativesGenerateParams,
    JobParams,
    MoveToLibraryParams,
    ReencodeChunkParams,
    ReencodeStreamingParams,
    ScanParams,
    SceneExtractParams,
    TagGenerationParams,
    ThumbnailGenerateParams,
    ValidateParams,
)
from callsheet.reel_params import (
    ClipGenerateParams,
    CompileGifParams,
    CompileMegaParams,
    CompileQuadParams,
    CompileRandomParams,
    DigestGenerateParams,
    HighlightGenerateParams,
)


class Category(IntEnum):
    """The resource that a job occupies; the values are those of ``ResourceCategory`` on the wire."""

    CPU = 1
    GPU_ENCODE = 2
    GPU_AI = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """One kind of work."""

    name: str
    """``[a-z][a-z0-9_]*``, at most 64 characters."""
    description: str
    """One sentence for a person."""
    params: type[JobParams]
    """The model of its parameters."""
    category: Category = Category.CPU
    """The resource it occupies."""
    vram_mib: int = 0
    """VRAM in MiB that a lease is charged with."""
    run_limit_s: int = 1800
    """How long one attempt may run."""
    resumable: bool = False
    """Its attempts can be paused: they keep a checkpoint from which a later one goes on."""
    learns_vram: bool = False
    """A new job is charged with what jobs of its size turned out to need, once enough have run."""
    internal: bool = False
    """Its jobs are submitted by other jobs, not by people: it is not offered to them."""


SCAN: Final = JobType(
    name="scan",
    description="Finds new, changed and vanished files in a folder and records what they are.",
    params=ScanParams,
    run_limit_s=6 * 3600,
)
PUBLIC_SCAN: Final = JobType(
    name="public_scan",
    description="Scans like scan and marks what it finds as public.",
    params=ScanParams,
    run_limit_s=6 * 3600,
)
VALIDATE: Final = JobType(
    name="validate",
    description="Reads a file again, refreshes its metadata and says whether it is whole.",
    params=ValidateParams,
)
THUMBNAIL_GENERATE: Final = JobType(
    name="thumbnail_generate",
    description="Makes a still picture of a video or image.",
    params=ThumbnailGenerateParams,
)
DERIVATIVES_GENERATE: Final = JobType(
    name="derivatives_generate",
    description="Makes thumbnails, previews, waveforms or sheets for scrubbing of several items.",
    params=DerivativesGenerateParams,
)
CACHE_BUILD: Final = JobType(
    name="cache_build",
    description="Keeps the pictures and metadata of the whole library made, or of the items that it names.",
    params=CacheBuildParams,
)
CACHE_SWEEP: Final = JobType(
    name="cache_sweep",
    description="Removes what was made of deleted files, and files that nothing points at.",
    params=CacheSweepParams,
)

BULK_PRIORITY: Final = 10
"""The priority of work that nobody waits for."""

REENCODE_STREAMING: Final = JobType(
    name="reencode_streaming",
    description="Makes an H.264 and AAC version of a video that every browser plays and seeks in at once.",
    params=ReencodeStreamingParams,
    category=Category.GPU_ENCODE,
    vram_mib=4000,
    run_limit_s=12 * 3600,
    resumable=True,
    learns_vram=True,
)

REENCODE_CHUNK: Final = JobType(
    name="reencode_chunk",
    description="Encodes one chunk of a long video; reencode_streaming submits such jobs itself.",
    params=ReencodeChunkParams,
    category=Category.GPU_ENCODE,
    vram_mib=4000,
    run_limit_s=12 * 3600,
    learns_vram=True,
    internal=True,
)
COMPILE_RANDOM: Final = JobType(
    name="compile_random",
    description="Joins videos chosen by chance, length and orientation into one, with a chapter for each.",
    params=CompileRandomParams,
    category=Category.GPU_ENCODE,
    vram_mib=2000,
    run_limit_s=12 * 3600,
    resumable=True,
    learns_vram=True,
)
COMPILE_MEGA: Final = JobType(
    name="compile_mega",
    description="Joins up to 300 videos into one, with a chapter for each.",
    params=CompileMegaParams,
    category=Category.GPU_ENCODE,
    vram_mib=6000,
    run_limit_s=24 * 3600,
    resumable=True,
    learns_vram=True,
)
DIGEST_GENERATE: Final = JobType(
    name="digest_generate",
    description="Tells a video in short: the best part of each of its stretches, and its highlights.",
    params=DigestGenerateParams,
    category=Category.GPU_AI,
    vram_mib=8000,
    run_limit_s=6 * 3600,
    resumable=True,
    learns_vram=True,
)
HIGHLIGHT_GENERATE: Final = JobType(
    name="highlight_generate",
    description="Joins the best moments of a video.",
    params=HighlightGenerateParams,
    category=Category.GPU_AI,
    vram_mib=8000,
    run_limit_s=6 * 3600,
    resumable=True,
    learns_vram=True,
)
CLIP_GENERATE: Final = JobType(
    name="clip_generate",
    description="Cuts parts out of a video, given ones or those that its digest is made of.",
    params=ClipGenerateParams,
    category=Category.GPU_AI,
    vram_mib=6000,
    run_limit_s=6 * 3600,
    resumable=True,
    learns_vram=True,
)
COMPILE_QUAD: Final = JobType(
    name="compile_quad",
    description="Shows four videos at once, two by two, with their sound mixed.",
    params=CompileQuadParams,
    category=Category.GPU_ENCODE,
    vram_mib=4000,
    run_limit_s=12 * 3600,
    resumable=True,
    learns_vram=True,
)
COMPILE_GIF: Final = JobType(
    name="compile_gif",
    description="Makes an animated GIF or WebP of a part of a video.",
    params=CompileGifParams,
)
SCENE_EXTRACT: Final = JobType(
    name="scene_extract",
    description="Finds the shots of a video and lists them; on request each is cut out as a clip.",
    params=SceneExtractParams,
    category=Category.GPU_AI,
    vram_mib=8000,
    run_limit_s=6 * 3600,
    learns_vram=True,
)
MOVE_TO_LIBRARY: Final = JobType(
    name="move_to_library",
    description="Moves an item's file to another folder or root; it stays the same item.",
    params=MoveToLibraryParams,
    run_limit_s=6 * 3600,
)

TAG_GENERATION: Final = JobType(
    name="tag_generation",
    description="Tags an item by its metadata, by measurements, and by the models that are installed.",
    params=TagGenerationParams,
    category=Category.GPU_AI,
    vram_mib=6000,
    run_limit_s=2 * 3600,
)

CATALOG: Final[dict[str, JobType]] = {
    job_type.name: job_type
    for job_type in (
        SCAN,
        PUBLIC_SCAN,
        VALIDATE,
        THUMBNAIL_GENERATE,
        DERIVATIVES_GENERATE,
        CACHE_BUILD,
        CACHE_SWEEP,
        REENCODE_STREAMING,
        REENCODE_CHUNK,
        COMPILE_RANDOM,
        COMPILE_MEGA,
        COMPILE_QUAD,
        COMPILE_GIF,
        SCENE_EXTRACT,
        MOVE_TO_LIBRARY,
        TAG_GENERATION,
        DIGEST_GENERATE,
        HIGHLIGHT_GENERATE,
        CLIP_GENERATE,
    )
}
"""Every job type that Callsheet ships, by name."""
