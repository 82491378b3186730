"""Jobs as tasks, and how far media are processed, as the asynchronous endpoints have them: in snake_case."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from callsheet import catalog
from callsheet.v1.fleet_service_pb2 import Queue, Worker
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.job_service_pb2 import JobType
from callsheet.v1.library_service_pb2 import Collection
from callsheet_gateway.schemas.jobs import ID, Category, Status, category_of, status_of
from callsheet_gateway.schemas.library import Kind
from callsheet_gateway.schemas.shared import Instant, Slug, instant, instant_or_none

PICTURE_TYPES: Final = tuple(
    one.name for one in (catalog.THUMBNAIL_GENERATE, catalog.DERIVATIVES_GENERATE, catalog.CACHE_BUILD)
)
"""The job types that make thumbnails."""
_OTHER_TYPES: Final = frozenset({catalog.CACHE_SWEEP.name})
ACTIVE: Final = (
    JobState.JOB_STATE_PENDING,
    JobState.JOB_STATE_QUEUED,
    JobState.JOB_STATE_RUNNING,
    JobState.JOB_STATE_PAUSED,
)
"""The states that are not final."""

TASK_EXAMPLE: Final[dict[str, JsonValue]] = {
    "task_id": ID,
    "task_name": "thumbnail_generate",
    "queue": "thumbnails",
    "status": "running",
    "progress": 45,
    "voyage_slug": "iceland-2025",
    "worker": "atlas-cpu-1f6c",
    "retries": 0,
    "error": None,
    "created_at": "2026-02-13T10:25:00.000Z",
    "started_at": "2026-02-13T10:30:00.000Z",
    "completed_at": None,
}


PROCESSING_EXAMPLE: Final[dict[str, JsonValue]] = {
    "voyage_slug": "iceland-2025",
    "total": 100,
    "pending": 0,
    "processing": 2,
    "completed": 97,
    "failed": 1,
    "cancelled": 0,
    "percent_complete": 98.0,
    "by_media_type": {kind.value: {"total": 25, "ok": 24, "failed": 1, "missing": 0} for kind in Kind},
    "started_at": "2026-02-13T10:25:01.000Z",
    "completed_at": None,
}


class TaskQueue(StrEnum):
    """What kind of work a task is."""

    THUMBNAILS = "thumbnails"
    MEDIA = "media"
    DEFAULT = "default"


class TasksQuestion(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200, description="Tasks of a page.")] = 100
    cursor: Annotated[str, Field(max_length=500, description="The next_cursor of the page before.")] = ""


class Task(BaseModel):
    """A job as a task."""

    task_id: str
    task_name: str = Field(description="The job type.")
    queue: TaskQueue = Field(description="By the job type.")
    status: Status
    progress: int = Field(description="Percent.")
    voyage_slug: str | None = Field(description="The collection that it belongs to.")
    worker: str | None = Field(description="Who holds or last held it.")
    retries: int
    error: str | None = Field(description="The reason of the last failure.")
    created_at: Instant
    started_at: Instant | None
    completed_at: Instant | None = Field(description="When it reached its final status.")


class TaskList(BaseModel):
    """One page of the tasks that are not over, newest first."""

    tasks: list[Task]
    total: int = Field(description="All of them.", examples=[1])
    next_cursor: str | None = Field(
        description="For the next page; null when this is the last.", examples=[None]
    )


class CancelledTask(BaseModel):
    """A task that was cancelled, or whose worker has still to confirm."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"success": True, "task_id": ID, "status": "cancelled", "message": "Task cancelled"}
        }
    )

    success: bool
    task_id: str
    status: Status
    message: str


class KindProgress(BaseModel):
    """How far the media of one kind are."""

    total: int = Field(description="Items, counted to 10,000.", examples=[100])
    ok: int = Field(description="Those that can be used.", examples=[97])
    failed: int = Field(description="Those that are broken.", examples=[2])
    missing: int = Field(description="Those whose file is gone.", examples=[1])


class ProcessingStatus(BaseModel):
    """How far one collection is."""

    voyage_slug: Slug
    total: int = Field(description="Its jobs.")
    pending: int = Field(description="Jobs that wait or are paused.")
    processing: int = Field(description="Jobs that are queued or run.")
    completed: int
    failed: int
    cancelled: int
    percent_complete: float = Field(description="Jobs that are final, 0 to 100.")
    by_media_type: dict[Kind, KindProgress] = Field(description="Its items.")
    started_at: Instant | None
    completed_at: Instant | None = Field(
        description="When its last job ended; null while some are not final."
    )


class FailureCause(BaseModel):
    """Why thumbnails failed."""

    cause: str = Field(examples=["the file is truncated"])
    count: int = Field(examples=[3])


class ThumbnailStats(BaseModel):
    """How thumbnails come along."""

    total_media: int = Field(description="Items that can have one.", examples=[2126])
    with_thumbnail: int = Field(description="Those that have one of their present content.", examples=[2120])
    without_thumbnail: int = Field(examples=[6])
    percent_complete: float = Field(description="0 to 100.", examples=[99.7])
    broken_media: int = Field(description="Items that cannot be read, and so never have one.", examples=[3])
    pending: int = Field(description="Jobs for thumbnails that are not over.", examples=[4])
    completed: int = Field(description="Jobs for thumbnails.", examples=[107])
    failed: int = Field(description="Jobs for thumbnails.", examples=[3])
    success_rate: float = Field(description="Completed among completed and failed, 0 to 1.", examples=[0.973])
    completed_last_hour: int = Field(description="Jobs of every type.", examples=[37])
    failures_by_cause: list[FailureCause] = Field(
        description="Of the newest 200 failures, the commonest first."
    )


class RetryQuestion(BaseModel):
    """What to retry."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"voyage_slug": "iceland-2025"}})

    voyage_slug: Slug | None = Field(default=None, description="Only of this collection.")


class Retried(BaseModel):
    """What became of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"success": True, "retried": 3, "message": "3 failed thumbnail jobs are queued again"}
        }
    )

    success: bool
    retried: int = Field(description="How many jobs are queued again.")
    message: str


class WorkerState(BaseModel):
    """A worker as a probe sees it."""

    worker_id: str = Field(examples=["atlas-cpu-1f6c"])
    host: str = Field(examples=["atlas"])
    alive: bool = Field(description="Whether its stream is open.", examples=[True])
    draining: bool = Field(description="It takes no more jobs.", examples=[False])
    last_heartbeat: Instant | None
    slots: int = Field(description="Jobs that it can run at once.", examples=[5])
    running: int = Field(description="Jobs that it holds.", examples=[2])
    load: float = Field(description="Load of its host divided by the cores.", examples=[0.42])
    categories: list[Category] = Field(description="What it serves.", examples=[["cpu"]])


class WorkerHealth(BaseModel):
    """Whether somebody serves what waits."""

    healthy: bool = Field(examples=[True])
    total_workers: int = Field(examples=[1])
    alive_workers: int = Field(examples=[1])
    waiting: dict[Category, int] = Field(description="Jobs that wait.", examples=[{"cpu": 4}])
    unserved: list[Category] = Field(
        description="Categories with work that no worker serves; healthy means that there is none.",
        examples=[[]],
    )
    workers: list[WorkerState]


def queue_of(job_type: str) -> TaskQueue:
    """Return the queue that jobs of a type are told to be in."""
    if job_type in PICTURE_TYPES:
        return TaskQueue.THUMBNAILS
    known = job_type in catalog.CATALOG and job_type not in _OTHER_TYPES
    return TaskQueue.MEDIA if known else TaskQueue.DEFAULT


def task_view(job: Job) -> Task:
    """Return a job as a task."""
    return Task(
        task_id=job.id,
        task_name=job.type,
        queue=queue_of(job.type),
        status=status_of(job.state),
        progress=job.progress_percent,
        voyage_slug=job.collection or None,
        worker=job.worker_id or None,
        retries=job.retry_count,
        error=job.error or None,
        created_at=instant(job.created_at),
        started_at=instant_or_none(job.started_at),
        completed_at=instant_or_none(job.finished_at),
    )


def processing_view(collection: Collection, kinds: Mapping[Kind, KindProgress]) -> ProcessingStatus:
    """Return how far a collection is."""
    jobs: Counter[Status] = Counter({status_of(one.state): one.count for one in collection.jobs})
    total, done = collection.total, collection.done
    return ProcessingStatus(
        voyage_slug=collection.slug,
        total=total,
        pending=jobs[Status.PENDING] + jobs[Status.PAUSED],
        processing=jobs[Status.QUEUED] + jobs[Status.RUNNING],
        completed=jobs[Status.COMPLETED],
        failed=jobs[Status.FAILED],
        cancelled=jobs[Status.CANCELLED],
        percent_complete=round(100 * done / total, 1) if total else 0.0,
        by_media_type=dict(kinds),
        started_at=instant_or_none(collection.started_at),
        completed_at=instant_or_none(collection.finished_at),
    )


def causes_of(jobs: Iterable[Job]) -> list[FailureCause]:
    """Return why jobs failed, the commonest first."""
    counted = Counter(job.error.partition("\n")[0] or "unknown" for job in jobs)
    return [FailureCause(cause=cause, count=count) for cause, count in counted.most_common()]


def health_view(workers: Sequence[Worker], queues: Sequence[Queue], types: Sequence[JobType]) -> WorkerHealth:
    """Return whether every category that has work is served by a worker that takes jobs."""
    category_by_type = {one.name: category_of(one.category) for one in types}
    states = [_worker(worker, category_by_type) for worker in workers]
    scopes = {queue.scope: queue for queue in queues}
    waiting = {category: scopes[category.value].pending for category in Category if category.value in scopes}
    served = {one for state in states if state.alive and not state.draining for one in state.categories}
    unserved = [category for category, count in waiting.items() if count and category not in served]
    return WorkerHealth(
        healthy=not unserved,
        total_workers=len(states),
        alive_workers=sum(state.alive for state in states),
        waiting=waiting,
        unserved=unserved,
        workers=states,
    )


def _worker(worker: Worker, category_by_type: Mapping[str, Category]) -> WorkerState:
    serves = {category_by_type[name] for name in worker.types if name in category_by_type}
    return WorkerState(
        worker_id=worker.id,
        host=worker.host,
        alive=worker.connected,
        draining=worker.draining or worker.leaving,
        last_heartbeat=instant_or_none(worker.last_heartbeat_at),
        slots=worker.slots,
        running=worker.leases,
        load=worker.load,
        categories=[category for category in Category if category in serves],
    )
