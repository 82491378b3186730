"""The JSON of the REST surface: keys as the documented systems have them."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from callsheet.v1.job_pb2 import Job, JobAttempt, JobState, ResourceCategory
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind

JOB_EXAMPLE: dict[str, JsonValue] = {
    "id": "01a1f700-0000-7000-8000-000000000001",
    "type": "scan",
    "status": "running",
    "progress": 45,
    "resourceCategory": "cpu",
    "vramRequired": 0,
    "priority": 5,
    "params": {"path": "videos"},
    "createdAt": "2026-02-13T10:25:00Z",
    "startedAt": "2026-02-13T10:30:00Z",
}


class Status(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Category(StrEnum):
    """The resource a job occupies."""

    CPU = "cpu"
    GPU_ENCODE = "gpu_encode"
    GPU_AI = "gpu_ai"


class Camel(BaseModel):
    """A model whose keys are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class NewJob(Camel):
    """A job to be made."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        json_schema_extra={"example": {"type": "scan", "params": {"path": "videos"}, "priority": 5}},
    )

    type: Annotated[str, Field(max_length=64)]
    params: dict[str, JsonValue] = {}
    priority: Annotated[int, Field(ge=1, le=10)] = 5
    resource_category: Category | None = None
    vram_required: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    max_retries: Annotated[int, Field(ge=0, le=20)] | None = None
    run_at: datetime | None = None


class CreatedJob(Camel):
    """An accepted job."""

    id: str
    type: str
    status: Status
    progress: int = 0
    created_at: str


class JobSummary(Camel):
    """A job in a list."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra={"example": dict(JOB_EXAMPLE)},
    )

    id: str
    type: str
    status: Status
    progress: int
    resource_category: Category
    vram_required: int
    priority: int
    params: dict[str, JsonValue]
    retry_count: int
    max_retries: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    retry_after: str | None
    run_at: str | None
    cancel_requested_at: str | None
    waiting_reason: str | None
    queue_position: int | None
    worker: str | None
    error: str | None


class Attempt(Camel):
    """One run of a job."""

    number: int
    worker: str
    started_at: str | None
    ended_at: str | None
    outcome: str | None
    error: str | None


class JobDetails(JobSummary):
    """A job with everything."""

    log: str
    result: dict[str, JsonValue] | None
    attempts: list[Attempt]


class Pagination(Camel):
    """Where in a list a page is."""

    page: int
    limit: int
    total: int
    total_pages: int
    total_is_exact: bool
    next_cursor: str | None = None


class JobPage(Camel):
    """One page of jobs."""

    data: list[JobSummary]
    pagination: Pagination


class RetriedJob(Camel):
    """A job that was put back."""

    id: str
    status: Status
    retry_count: int
    retry_after: str | None
    log: str


class CancelledJob(Camel):
    """A job whose end was asked for."""

    id: str
    status: Status
    log: str
    cancel_requested_at: str | None = None


class JobStats(Camel):
    """Counts of the whole queue."""

    pending: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int
    paused: int
    total_vram_used: int
    total_vram_available: int
    average_processing_time: float
    jobs_by_type: dict[str, int]
    per_category: dict[str, dict[str, int]]
    throughput: dict[str, int]


class Metadata(BaseModel):
    """What is known of one file; keys as the media cache builder has them."""

    file_path: str
    width: int | None
    height: int | None
    file_size: int
    duration: float | None
    format: str
    cached: bool
    cached_at: str


class CacheCount(BaseModel):
    """How much of one kind is cached."""

    exists: bool
    count: int
    size_bytes: int


class CacheStats(BaseModel):
    """How much is cached."""

    thumbnails: CacheCount
    metadata: CacheCount


class DerivativeView(Camel):
    """Something made from an item."""

    kind: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    created_at: str


class ItemView(Camel):
    """A media item."""

    id: str
    root: str
    path: str
    kind: str
    status: str
    is_valid: bool
    reason: str | None
    file_size: int
    width: int | None
    height: int | None
    duration: float | None
    orientation: str | None
    rotation: int
    format: str
    video_codec: str | None
    audio_codec: str | None
    frame_rate: float | None
    bitrate: int | None
    pages: int | None
    created_at: str
    updated_at: str
    derivatives: list[DerivativeView]


class ItemPage(Camel):
    """One page of items."""

    data: list[ItemView]
    pagination: Pagination


def instant(stamp: Timestamp) -> str:
    """Return an instant as RFC 3339 in UTC."""
    text = stamp.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def instant_or_none(stamp: Timestamp) -> str | None:
    """Return an instant, or None for one that is not set."""
    return instant(stamp) if stamp.ByteSize() else None


def status_of(state: int) -> Status:
    """Return the status of a state on the wire."""
    return Status(JobState.Name(JobState.ValueType(state)).removeprefix("JOB_STATE_").lower())


def category_of(value: int) -> Category:
    """Return the category of a value on the wire."""
    name = ResourceCategory.Name(ResourceCategory.ValueType(value))
    return Category(name.removeprefix("RESOURCE_CATEGORY_").lower())


def summary(job: Job) -> JobSummary:
    """Return a job for a list."""
    return JobSummary.model_validate(_fields(job))


def details(job: Job, log: str) -> JobDetails:
    """Return a job with everything."""
    return JobDetails.model_validate(
        _fields(job)
        | {
            "log": log,
            "result": json.loads(job.result_json) if job.result_json else None,
            "attempts": [_attempt(attempt) for attempt in job.attempts],
        },
    )


def _fields(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "type": job.type,
        "status": status_of(job.state),
        "progress": job.progress_percent,
        "resource_category": category_of(job.category),
        "vram_required": job.vram_mib,
        "priority": job.priority,
        "params": json.loads(job.params_json or "{}"),
        "retry_count": job.retry_count,
        "max_retries": job.max_retries,
        "created_at": instant(job.created_at),
        "started_at": instant_or_none(job.started_at),
        "completed_at": instant_or_none(job.finished_at),
        "retry_after": instant_or_none(job.retry_after),
        "run_at": instant_or_none(job.run_at),
        "cancel_requested_at": instant_or_none(job.cancel_requested_at),
        "waiting_reason": job.waiting_reason or None,
        "queue_position": job.queue_position or None,
        "worker": job.worker_id or None,
        "error": job.error or None,
    }


def _attempt(attempt: JobAttempt) -> Attempt:
    return Attempt(
        number=attempt.number,
        worker=attempt.worker_id,
        started_at=instant_or_none(attempt.started_at),
        ended_at=instant_or_none(attempt.ended_at),
        outcome=attempt.outcome or None,
        error=attempt.error or None,
    )


def item_view(item: Item) -> ItemView:
    """Return an item."""
    facts = item.facts
    state = ItemState.Name(facts.state).removeprefix("ITEM_STATE_").lower()
    return ItemView(
        id=item.id,
        root=facts.root,
        path=facts.path,
        kind=MediaKind.Name(facts.kind).removeprefix("MEDIA_KIND_").lower(),
        status=state,
        is_valid=state == "ok",
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
        created_at=instant(item.created_at),
        updated_at=instant(item.updated_at),
        derivatives=[
            DerivativeView(
                kind=derivative.facts.kind,
                media_type=derivative.facts.media_type,
                width=derivative.facts.width,
                height=derivative.facts.height,
                size_bytes=derivative.facts.size_bytes,
                created_at=instant(derivative.created_at),
            )
            for derivative in item.derivatives
        ],
    )


def _orientation(width: int, height: int) -> str | None:
    if not width or not height:
        return None
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
