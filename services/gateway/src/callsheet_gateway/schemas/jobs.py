"""Jobs as REST has them."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, JsonValue, TypeAdapter

from callsheet.v1 import job_pb2
from callsheet.v1.job_pb2 import JobState, ResourceCategory
from callsheet.v1.job_service_pb2 import ListJobsRequest, SubmittedJob
from callsheet_gateway.access.unique_keys import shown_key
from callsheet_gateway.schemas.shared import (
    Camel,
    Instant,
    Pagination,
    Question,
    Slug,
    instant,
    instant_or_none,
)

ID: Final = "019aa1f7-6f00-7000-8000-000000000001"

JOB_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": ID,
    "type": "scan",
    "status": "running",
    "progress": 45,
    "resourceCategory": "cpu",
    "vramRequired": 0,
    "priority": 5,
    "params": {"path": "videos"},
    "retryCount": 0,
    "maxRetries": 3,
    "createdAt": "2026-02-13T10:25:00.000Z",
    "startedAt": "2026-02-13T10:30:00.000Z",
    "predictedEndAt": "2026-02-13T10:34:10.000Z",
    "predictedStartAt": None,
    "completedAt": None,
    "retryAfter": None,
    "runAt": None,
    "cancelRequestedAt": None,
    "pauseRequestedAt": None,
    "waitingReason": None,
    "queuePosition": None,
    "attempt": 1,
    "worker": "atlas-cpu-1f6c",
    "error": None,
    "interactive": False,
    "parentId": None,
    "dependsOn": [],
    "uniqueKey": None,
    "collection": None,
    "submittedBy": "key:web-site",
}
LOG_EXAMPLE: Final = "[2026-02-13 10:30:00] Scanning library/videos: 2,126 files, 0 of them unchanged.\n"

DETAILS_EXAMPLE: Final[dict[str, JsonValue]] = JOB_EXAMPLE | {
    "log": LOG_EXAMPLE,
    "result": None,
    "gpu": None,
    "software": False,
    "stopRung": None,
    "children": 0,
    "attempts": [],
}

JSON_OBJECT: Final = TypeAdapter(dict[str, JsonValue])
TypeName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$", examples=["scan"])]
"""The name of a job type."""


class Status(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"


class Category(StrEnum):
    """The resource that a job occupies while it runs."""

    CPU = "cpu"
    GPU_ENCODE = "gpu_encode"
    GPU_AI = "gpu_ai"


class StopRung(StrEnum):
    """What it took to end an attempt on request."""

    BEFORE_START = "before_start"
    ASKED = "asked"
    TERMINATED = "terminated"
    KILLED = "killed"
    LEASE_LOST = "lease_lost"


class Sort(StrEnum):
    """The orders of a list."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"


class JobsFilter(Question):
    """Which jobs. All that is given must pass; of several values any passes."""

    status: list[Status] = Field(default=[], max_length=7, description="Only these.")
    type: list[TypeName] = Field(default=[], max_length=50, description="Only these job types.")
    resource_category: list[Category] = Field(default=[], max_length=3, description="Only these.")
    q: str = Field(
        default="",
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="A part of the id, type, parameters or error, in any case. It is looked for in 200,000 "
        "jobs that pass the other filters; where there are more, nextCursor goes on behind them, even if "
        "data is short or empty.",
    )
    parent_id: UUID | None = Field(default=None, description="Only jobs that this job caused.")
    collection: Slug | None = Field(default=None, description="Only jobs of this collection.")
    submitted_by: str = Field(
        default="", max_length=300, pattern=r"^[^\x00]*$", description="Only jobs that this caller asked for."
    )


class JobsQuestion(JobsFilter):
    """Which jobs to list. All filters must pass; one that is repeated passes by any of its values."""

    page: Annotated[
        int, Field(ge=1, description="Counted from 1; at most 10,000 jobs can be passed over.")
    ] = 1
    limit: Annotated[int, Field(ge=1, le=200, description="Jobs of a page.")] = 20
    sort: Annotated[
        Sort,
        Field(
            description="-createdAt for the newest first, createdAt for the oldest; keep it with a cursor."
        ),
    ] = Sort.NEWEST
    cursor: Annotated[
        str, Field(max_length=500, description="The nextCursor of the page before; for lists of any depth.")
    ] = ""


class CreatedJob(Camel):
    """An accepted job."""

    id: str = Field(examples=[ID])
    type: str = Field(examples=["scan"])
    status: Status = Field(description="pending, or queued where a worker gets it at once.")
    progress: int = Field(examples=[0])
    created_at: Instant


class CreatedJobs(Camel):
    """The accepted jobs."""

    data: list[CreatedJob] = Field(description="In the order of the request.")


class JobSummary(Camel):
    """A job in a list."""

    id: str
    type: str
    status: Status
    progress: int = Field(description="Percent of the present attempt.")
    resource_category: Category
    vram_required: int = Field(description="MB that it is charged with while it runs.")
    priority: int = Field(description="1 (most urgent) to 10.")
    params: dict[str, JsonValue]
    retry_count: int
    max_retries: int
    created_at: Instant
    started_at: Instant | None
    predicted_end_at: Instant | None = Field(description="When it will end, by what jobs like it took.")
    predicted_start_at: Instant | None = Field(
        description="When there will be room on a GPU for it, by what others took; null in lists."
    )
    completed_at: Instant | None = Field(description="When it reached its final status.")
    retry_after: Instant | None = Field(description="Not retried before.")
    run_at: Instant | None = Field(description="Not started before.")
    cancel_requested_at: Instant | None
    pause_requested_at: Instant | None
    waiting_reason: str | None = Field(
        description="Why it cannot start now; null when nothing holds it back."
    )
    queue_position: int | None = Field(description="From 1 among the waiting jobs of its category.")
    attempt: int = Field(description="Runs so far.")
    worker: str | None = Field(description="Who holds or last held it.")
    error: str | None = Field(description="The reason of the last failure.")
    interactive: bool = Field(description="Somebody waits for the result.")
    parent_id: str | None = Field(description="The job that caused it.")
    depends_on: list[str] = Field(description="Jobs that had to be final before it could start.")
    unique_key: str | None = Field(description="At most one job that is not final has it.")
    collection: str | None = Field(description="The collection that it belongs to.")
    submitted_by: str | None = Field(description="Who asked for it.")


class Attempt(Camel):
    """One run of a job."""

    number: int = Field(description="From 1.", examples=[1])
    worker: str | None = Field(examples=["atlas-cpu-1f6c"])
    started_at: Instant | None
    ended_at: Instant | None
    outcome: str | None = Field(
        description="completed, failed, cancelled, paused, yielded, returned or expired; null while it runs.",
        examples=["failed"],
    )
    error: str | None = Field(examples=["the disk is full"])


class JobDetails(JobSummary):
    """A job with everything."""

    log: str = Field(description="Head and tail of one longer than 10 KB; /log has all of it.")
    result: dict[str, JsonValue] | None = Field(description="What it reported on completion.")
    gpu: str | None = Field(description="The UUID of the GPU that its present or last attempt was given.")
    software: bool = Field(description="That attempt did a GPU job without a GPU.")
    stop_rung: StopRung | None = Field(description="For a cancelled job that ran: what it took to end it.")
    children: int = Field(description="How many jobs it has yielded to.")
    attempts: list[Attempt] = Field(description="Oldest first.")


class JobPage(Camel):
    """One page of jobs, newest first."""

    data: list[JobSummary]
    pagination: Pagination


class LogQuestion(Question):
    """How to get a log."""

    follow: bool = Field(default=False, description="As server-sent events, for as long as it grows.")


class ChildrenQuestion(Question):
    """Which page of a job's children."""

    limit: int = Field(default=20, ge=1, le=200, description="Jobs of a page at most.")
    cursor: str = Field(default="", max_length=20, description="The nextCursor of the page before.")


class JobChildren(Camel):
    """One page of the jobs that a job has yielded to, in the order given."""

    data: list[JobSummary]
    next_cursor: str | None = Field(
        description="For the next page; null when this is the last.", examples=[None]
    )


def status_of(state: int) -> Status:
    """Return the status of a state on the wire."""
    return Status(JobState.Name(JobState.ValueType(state)).removeprefix("JOB_STATE_").lower())


def state_of(status: Status) -> JobState.ValueType:
    """Return the state on the wire."""
    return JobState.Value(f"JOB_STATE_{status.name}")


def stop_rung_of(value: int) -> StopRung | None:
    """Return the rung of a value on the wire."""
    name = job_pb2.StopRung.Name(job_pb2.StopRung.ValueType(value)).removeprefix("STOP_RUNG_").lower()
    return None if name == "unspecified" else StopRung(name)


def filter_to_wire(asked: JobsFilter) -> ListJobsRequest:
    """Return the filter on the wire, without a page."""
    return ListJobsRequest(
        states=[state_of(status) for status in asked.status],
        types=asked.type,
        categories=[category_to_wire(category) for category in asked.resource_category],
        query=asked.q,
        parent_id=str(asked.parent_id) if asked.parent_id else "",
        collection=asked.collection or "",
        submitted_by=asked.submitted_by,
    )


def category_of(value: int) -> Category:
    """Return the category of a value on the wire."""
    name = ResourceCategory.Name(ResourceCategory.ValueType(value))
    return Category(name.removeprefix("RESOURCE_CATEGORY_").lower())


def category_to_wire(category: Category | None) -> ResourceCategory.ValueType:
    """Return the category on the wire; None is unset."""
    return ResourceCategory.Value(f"RESOURCE_CATEGORY_{'UNSPECIFIED' if category is None else category.name}")


def created_view(submitted: SubmittedJob, job_type: str) -> CreatedJob:
    """Return what became of a submission."""
    return CreatedJob(
        id=submitted.id,
        type=job_type,
        status=status_of(submitted.state),
        progress=0,
        created_at=instant(submitted.created_at),
    )


def summary(job: job_pb2.Job) -> JobSummary:
    """Return a job for a list."""
    return JobSummary(
        id=job.id,
        type=job.type,
        status=status_of(job.state),
        progress=job.progress_percent,
        resource_category=category_of(job.category),
        vram_required=job.vram_mib,
        priority=job.priority,
        params=JSON_OBJECT.validate_json(job.params_json or "{}"),
        retry_count=job.retry_count,
        max_retries=job.max_retries,
        created_at=instant(job.created_at),
        started_at=instant_or_none(job.started_at),
        predicted_end_at=instant_or_none(job.predicted_end_at),
        predicted_start_at=instant_or_none(job.predicted_start_at),
        completed_at=instant_or_none(job.finished_at),
        retry_after=instant_or_none(job.retry_after),
        run_at=instant_or_none(job.run_at),
        cancel_requested_at=instant_or_none(job.cancel_requested_at),
        pause_requested_at=instant_or_none(job.pause_requested_at),
        waiting_reason=job.waiting_reason or None,
        queue_position=job.queue_position or None,
        attempt=job.attempt,
        worker=job.worker_id or None,
        error=job.error or None,
        interactive=job.interactive,
        parent_id=job.parent_id or None,
        depends_on=list(job.depends_on),
        unique_key=shown_key(job.unique_key, job.submitted_by) or None,
        collection=job.collection or None,
        submitted_by=job.submitted_by or None,
    )


def details(job: job_pb2.Job, log: str) -> JobDetails:
    """Return a job with everything."""
    return JobDetails(
        **dict(summary(job)),
        log=log,
        result=JSON_OBJECT.validate_json(job.result_json) if job.result_json else None,
        gpu=job.device_uuid or None,
        software=job.software,
        stop_rung=stop_rung_of(job.stop_rung),
        children=job.children,
        attempts=[_attempt(attempt) for attempt in job.attempts],
    )


def _attempt(attempt: job_pb2.JobAttempt) -> Attempt:
    return Attempt(
        number=attempt.number,
        worker=attempt.worker_id or None,
        started_at=instant_or_none(attempt.started_at),
        ended_at=instant_or_none(attempt.ended_at),
        outcome=attempt.outcome or None,
        error=attempt.error or None,
    )
