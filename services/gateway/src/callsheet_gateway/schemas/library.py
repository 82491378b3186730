"""Media items and the cache as REST has them."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from callsheet.v1.library_service_pb2 import (
    Derivative,
    GetCacheStatsResponse,
    Item,
    ItemState,
    ItemTag,
    ListItemsResponse,
    MediaKind,
)
from callsheet_gateway.schemas.shared import (
    Camel,
    Instant,
    Pagination,
    Question,
    instant,
    instant_or_none,
    pagination,
)

_COMPUTED_ON: Final[dict[str, Literal["cpu", "cuda"]]] = {"cpu": "cpu", "cuda": "cuda"}
ITEM_ID: Final = "019aa1f7-6f00-7000-8000-0000000000a1"
BOX: Final = 300
"""The side of the box that the usual thumbnail fits, in pixels."""

FilePath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4200,
        description="Absolute; or relative to the default root; or root:path.",
        examples=["library:instagram/user/image.jpg"],
    ),
]
Size = Annotated[
    int,
    Field(
        ge=16, le=2048, description=f"Width in pixels; {BOX} fits a box of {BOX} by {BOX}.", examples=[BOX]
    ),
]


class Kind(StrEnum):
    """What an item is."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


class ItemStatus(StrEnum):
    """Whether an item can be used."""

    OK = "ok"
    BROKEN = "broken"
    MISSING = "missing"


class FileQuestion(Question):
    """Which file."""

    model_config = ConfigDict(extra="forbid", alias_generator=None)

    file_path: FilePath


class PictureQuestion(FileQuestion):
    """Which file, and how large a picture of it."""

    size: Size = BOX


class StreamQuestion(Question):
    """How an original is wanted."""

    download: bool = Field(default=False, description="To be saved, also where a browser could show it.")


class SizeQuestion(Question):
    """How large a picture."""

    size: Size = BOX


METADATA_EXAMPLE: Final[dict[str, JsonValue]] = {
    "file_path": "/media/instagram/user/image.jpg",
    "width": 1920,
    "height": 1080,
    "file_size": 245678,
    "duration": None,
    "format": "JPEG",
    "cached": True,
    "cached_at": "2025-10-30T22:36:45.123Z",
}


class Metadata(BaseModel):
    """What is known of one file."""

    file_path: str = Field(description="As asked for.")
    width: int | None = Field(description="Upright, in pixels; null if it has none.")
    height: int | None = Field(description="Upright, in pixels; null if it has none.")
    file_size: int = Field(description="Bytes.")
    duration: float | None = Field(description="Seconds; null for stills and documents.")
    format: str = Field(description="The container or picture format.")
    cached: bool = Field(description="False when the file was read for this request.")
    cached_at: Instant


class CacheCount(BaseModel):
    """How much of one kind is cached."""

    exists: bool
    count: int
    size_bytes: int


class CacheStats(BaseModel):
    """How much is cached."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "thumbnails": {"exists": True, "count": 2126, "size_bytes": 52428800},
                "metadata": {"exists": True, "count": 2126, "size_bytes": 204800},
            }
        }
    )

    thumbnails: CacheCount
    metadata: CacheCount


class DerivativeView(Camel):
    """Something made from an item."""

    kind: str = Field(examples=["thumbnail"])
    media_type: str = Field(examples=["image/jpeg"])
    width: int | None = Field(examples=[300])
    height: int | None = Field(examples=[169])
    size_bytes: int = Field(examples=[20_480])
    inline: str | None = Field(
        description="The content in hexadecimal, where it is that short.", examples=[None]
    )
    url: str | None = Field(
        description="Where to fetch it from its bucket without a credential, where the root gives such "
        "addresses; one that is signed is good for a while only.",
        examples=[None],
    )
    created_at: Instant


Link = Callable[[str, str], str | None]
"""Returns where clients can fetch a file of a root themselves, by the root's name and the path."""


class TagView(Camel):
    """A tag of an item."""

    name: str = Field(examples=["landscape"])
    score: float = Field(
        description="How sure, or how much of the item it holds for: 0 to 1.", examples=[1.0]
    )
    source: str = Field(
        description="Who says so: metadata, heuristic, or a model as name@revision.", examples=["metadata"]
    )
    computed_on: Literal["cpu", "cuda"] | None = Field(
        description="What a model ran on; null for what no model said.", examples=[None]
    )
    job_id: str = Field(description="The job that tagged it.")
    created_at: Instant


ITEM_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": ITEM_ID,
    "root": "library",
    "path": "videos/crystal.mp4",
    "filename": "crystal.mp4",
    "kind": "video",
    "status": "ok",
    "isValid": True,
    "reason": None,
    "fileSize": 2_480_123,
    "width": 1920,
    "height": 1080,
    "duration": 12.4,
    "orientation": "landscape",
    "rotation": 0,
    "format": "mov",
    "videoCodec": "h264",
    "audioCodec": "aac",
    "frameRate": 29.97,
    "bitrate": 1600,
    "pages": None,
    "public": False,
    "collection": None,
    "viewedAt": None,
    "thumbnailUrl": f"/api/media/items/{ITEM_ID}/thumbnail",
    "createdAt": "2026-02-13T10:25:00.000Z",
    "updatedAt": "2026-02-13T10:25:00.000Z",
    "thumbnailPath": "thumbnails/a1/019aa1f7-6f00-7000-8000-0000000000a1-box300-v1.0000000100000007.jpg",
    "reencodeJobId": None,
    "sources": [],
    "derivatives": [],
    "jobIds": [],
    "tags": [],
}


class ItemView(Camel):
    """A media item."""

    id: str
    root: str
    path: str = Field(description="Relative to the root.")
    filename: str
    kind: Kind
    status: ItemStatus
    is_valid: bool
    reason: str | None = Field(description="Why it is broken.")
    file_size: int = Field(description="Bytes.")
    width: int | None = Field(description="Upright, in pixels.")
    height: int | None = Field(description="Upright, in pixels.")
    duration: float | None = Field(description="Seconds.")
    orientation: str | None = Field(description="landscape, portrait or square.")
    rotation: int = Field(description="Clockwise degrees that make it upright.")
    format: str
    video_codec: str | None
    audio_codec: str | None
    frame_rate: float | None = Field(description="Frames per second.")
    bitrate: int | None = Field(description="kbit/s.")
    pages: int | None
    public: bool
    collection: str | None = Field(description="The collection that it belongs to.")
    viewed_at: Instant | None = Field(description="When somebody looked at it last, within ten minutes.")
    thumbnail_url: str | None = Field(description="Where its thumbnail is; null for one that cannot be used.")
    thumbnail_path: str | None = Field(description="The file of its thumbnail, relative to its root.")
    reencode_job_id: str | None = Field(description="The job that made its version for streaming.")
    sources: list[str] = Field(description="The items that a job made it from; none for an original.")
    created_at: Instant
    updated_at: Instant
    derivatives: list[DerivativeView] = Field(description="Made from its present content.")
    job_ids: list[str] = Field(description="The jobs that made its derivatives and tags, the newest first.")
    tags: list[TagView] = Field(description="Of its present content, by source, the best first.")


class ItemPage(Camel):
    """One page of items, by root and path."""

    data: list[ItemView]
    pagination: Pagination


def metadata_view(file_path: str, item: Item, *, cached: bool) -> Metadata:
    """Return what is known of a file."""
    facts = item.facts
    return Metadata(
        file_path=file_path,
        width=facts.width or None,
        height=facts.height or None,
        file_size=facts.size_bytes,
        duration=facts.duration_s if facts.HasField("duration_s") else None,
        format=facts.format,
        cached=cached,
        cached_at=instant(item.updated_at),
    )


def cache_view(stats: GetCacheStatsResponse) -> CacheStats:
    """Return how much is cached."""
    thumbnails, items = stats.thumbnail_count, stats.item_count
    return CacheStats(
        thumbnails=CacheCount(exists=thumbnails > 0, count=thumbnails, size_bytes=stats.thumbnail_bytes),
        metadata=CacheCount(exists=items > 0, count=items, size_bytes=stats.item_bytes),
    )


def item_view(item: Item, link: Link) -> ItemView:
    """Return an item."""
    facts = item.facts
    usable = facts.state == ItemState.ITEM_STATE_OK
    thumbnail, playback = _newest(item, "thumbnail"), _newest(item, "playback")
    return ItemView(
        id=item.id,
        root=facts.root,
        path=facts.path,
        filename=facts.path.rpartition("/")[2],
        kind=Kind(MediaKind.Name(facts.kind).removeprefix("MEDIA_KIND_").lower()),
        status=ItemStatus(ItemState.Name(facts.state).removeprefix("ITEM_STATE_").lower()),
        is_valid=usable,
        reason=facts.reason or None,
        file_size=facts.size_bytes,
        width=facts.width or None,
        height=facts.height or None,
        duration=facts.duration_s if facts.HasField("duration_s") else None,
        orientation=_orientation(facts.width, facts.height),
        rotation=facts.rotation,
        format=facts.format,
        video_codec=facts.video_codec or None,
        audio_codec=facts.audio_codec or None,
        frame_rate=facts.frame_rate or None,
        bitrate=facts.bitrate_kbps or None,
        pages=facts.pages or None,
        public=facts.public,
        collection=item.collection or None,
        viewed_at=instant_or_none(item.viewed_at),
        thumbnail_url=f"/api/media/items/{item.id}/thumbnail" if usable else None,
        thumbnail_path=thumbnail.facts.path if thumbnail else None,
        reencode_job_id=playback.job_id if playback else None,
        sources=_sources(facts.extra_json),
        created_at=instant(item.created_at),
        updated_at=instant(item.updated_at),
        derivatives=[_derivative(one, link) for one in item.derivatives],
        job_ids=_jobs(item),
        tags=[_tag(one) for one in item.tags],
    )


def item_page_view(answer: ListItemsResponse, limit: int, link: Link) -> ItemPage:
    """Return a page of items."""
    return ItemPage(
        data=[item_view(item, link) for item in answer.items],
        pagination=pagination(
            page=1,
            limit=limit,
            total=answer.total,
            total_is_exact=answer.total_is_exact,
            next_cursor=answer.next_page_token,
        ),
    )


def _jobs(item: Item) -> list[str]:
    """Return the jobs that made what the item has, the newest first: ids tell when they were made."""
    made_by = {one.job_id for one in item.derivatives} | {one.job_id for one in item.tags}
    return sorted((job_id for job_id in made_by if job_id), reverse=True)


def _newest(item: Item, kind: str) -> Derivative | None:
    """Return the newest file of a kind that was made from the item's present content."""
    found = [one for one in item.derivatives if one.facts.kind == kind and one.facts.path]
    return max(found, key=lambda one: one.created_at.ToNanoseconds(), default=None)


def _sources(extra_json: str) -> list[str]:
    """Return the ids that what made an item wrote beside it."""
    return _Made.model_validate_json(extra_json or "{}").sources


class _Made(BaseModel):
    sources: list[str] = []


def _derivative(derivative: Derivative, link: Link) -> DerivativeView:
    facts = derivative.facts
    return DerivativeView(
        kind=facts.kind,
        media_type=facts.media_type,
        width=facts.width or None,
        height=facts.height or None,
        size_bytes=facts.size_bytes,
        inline=facts.inline.hex() or None,
        url=link(facts.root, facts.path) if facts.path else None,
        created_at=instant(derivative.created_at),
    )


def _tag(tag: ItemTag) -> TagView:
    return TagView(
        name=tag.name,
        score=tag.score,
        source=tag.source,
        computed_on=_COMPUTED_ON.get(tag.computed_on),
        job_id=tag.job_id,
        created_at=instant(tag.created_at),
    )


def _orientation(width: int, height: int) -> str | None:
    if not width or not height:
        return None
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
