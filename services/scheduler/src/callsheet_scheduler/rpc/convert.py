"""Translates between the wire and the domain; no other module knows both."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1 import job_pb2, job_service_pb2
from callsheet.v1.fleet_service_pb2 import Worker as WireWorker
from callsheet.v1.lease_service_pb2 import Hello, Result
from callsheet.v1.library_service_pb2 import LibraryChanges as WireChanges
from callsheet_scheduler.domain.fleet import Capability, Worker
from callsheet_scheduler.domain.job import JobId, Token, WorkerId
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.retry import Ending
from callsheet_scheduler.store.history import AttemptRow, JobRow
from callsheet_scheduler.use_cases.grants import Attempt
from callsheet_scheduler.use_cases.jobs import Submission
from callsheet_scheduler.use_cases.views import JobView

WORKER_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
SLOTS_MAX: Final = 10_000

ENDINGS: Final[Mapping[int, Ending]] = {
    job_pb2.FAILURE_KIND_BAD_INPUT: Ending.BAD_INPUT,
    job_pb2.FAILURE_KIND_CAPACITY: Ending.CAPACITY,
    job_pb2.FAILURE_KIND_CANCELLED: Ending.CANCELLED,
}


def instant_from_wire(stamp: Timestamp) -> float:
    """Return seconds since 1970."""
    return stamp.seconds + stamp.nanos / 1e9


def instant_to_wire(at: float | datetime | None) -> Timestamp | None:
    """Return the instant as a message; None stays None, that is an unset field."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC))
    return stamp


def duration_to_wire(seconds: float) -> Duration:
    """Return a length of time as a message."""
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def category_from_wire(value: int, *, field: str) -> Category | None:
    """Return the category, None for unset."""
    if value == job_pb2.RESOURCE_CATEGORY_UNSPECIFIED:
        return None
    try:
        return Category(value)
    except ValueError:
        message = f"{value} is no resource category"
        raise InvalidError(message, field=field) from None


def job_id_from_wire(text: str) -> JobId:
    """Return the checked id."""
    return JobId(check_id(text, "id"))


def submission_from_wire(job: job_pb2.NewJob) -> Submission:
    """Return what is asked for."""
    return Submission(
        id=job.id,
        type=job.type,
        params=job.params_json,
        priority=job.priority,
        category=category_from_wire(job.category, field="category"),
        vram_mib=job.vram_mib if job.HasField("vram_mib") else None,
        max_retries=job.max_retries if job.HasField("max_retries") else None,
        run_at=instant_from_wire(job.run_at) if job.HasField("run_at") else None,
        interactive=job.interactive,
        parent_id=job.parent_id,
    )


def capability_from_wire(hello: Hello) -> Capability:
    """Return what a worker says of itself.

    Raises:
        InvalidError: A field is out of its range.
    """
    if not WORKER_ID.fullmatch(hello.worker_id):
        message = "must be 1 to 128 of A-Z a-z 0-9 . _ -"
        raise InvalidError(message, field="hello.worker_id")
    if hello.slots > SLOTS_MAX:
        message = f"at most {SLOTS_MAX} slots are allowed"
        raise InvalidError(message, field="hello.slots")
    return Capability(
        id=WorkerId(hello.worker_id),
        host=hello.host or hello.worker_id,
        slots=hello.slots,
        types=frozenset(offer.name for offer in hello.types),
        roots=frozenset(hello.roots),
        version=hello.version,
        software_gpu=hello.software_gpu,
        sandbox=tuple(hello.sandbox),
    )


def known_type_from_wire(offer: job_service_pb2.JobType) -> KnownType:
    """Return a declared job type.

    Raises:
        InvalidError: Its name or category is not acceptable.
    """
    if not TYPE_NAME.fullmatch(offer.name):
        message = f"{offer.name!r} is no name of a job type"
        raise InvalidError(message, field="hello.types")
    return KnownType(
        name=offer.name,
        description=offer.description,
        category=category_from_wire(offer.category, field="hello.types") or Category.CPU,
        vram_mib=offer.vram_mib,
        run_limit_s=offer.run_limit_s or 1800,
        params_schema=offer.params_schema_json,
    )


def known_type_to_wire(known: KnownType) -> job_service_pb2.JobType:
    """Return a job type as a message."""
    return job_service_pb2.JobType(
        name=known.name,
        description=known.description,
        category=job_pb2.ResourceCategory.ValueType(known.category),
        vram_mib=known.vram_mib,
        run_limit_s=known.run_limit_s,
        params_schema_json=known.params_schema,
    )


def attempt_from_wire(result: Result) -> Attempt:
    """Return which lease a result speaks of."""
    return Attempt(
        job_id=JobId(result.lease.job_id),
        token=Token(result.lease.token),
        started_at=instant_from_wire(result.started_at) if result.HasField("started_at") else None,
        ended_at=instant_from_wire(result.ended_at),
    )


def ending_from_wire(result: Result, outcome: str | None) -> tuple[Ending, str, WireChanges | None]:
    """Return how an attempt ended that did not complete, why, and what to write all the same."""
    if outcome == "failed":
        failed = result.failed
        ending = ENDINGS.get(failed.kind, Ending.TRANSIENT)
        return ending, failed.reason, failed.library if failed.HasField("library") else None
    return Ending.RETURNED, result.returned.reason, None


def job_to_wire(view: JobView) -> job_pb2.Job:
    """Return a job as a message."""
    row = view.row
    return job_pb2.Job(
        id=row.id,
        type=row.type,
        params_json=row.params,
        state=job_pb2.JobState.ValueType(view.state),
        category=job_pb2.ResourceCategory.ValueType(row.category),
        priority=row.priority,
        vram_mib=row.vram_mib,
        progress_percent=view.progress_percent,
        created_at=instant_to_wire(row.created_at),
        started_at=instant_to_wire(view.started_at),
        finished_at=instant_to_wire(row.finished_at),
        retry_count=row.retry_count,
        max_retries=row.max_retries,
        retry_after=instant_to_wire(row.retry_after),
        run_at=instant_to_wire(row.run_at),
        cancel_requested_at=instant_to_wire(row.cancel_requested_at),
        waiting_reason=view.waiting_reason,
        queue_position=view.queue_position,
        attempt=row.attempt,
        worker_id=row.worker_id or "",
        error=row.error or "",
        result_json=row.result or "",
        interactive=row.interactive,
        parent_id=row.parent_id or "",
        attempts=[_attempt_to_wire(attempt) for attempt in view.attempts],
    )


def _attempt_to_wire(attempt: AttemptRow) -> job_pb2.JobAttempt:
    return job_pb2.JobAttempt(
        number=attempt.number,
        worker_id=attempt.worker_id or "",
        started_at=instant_to_wire(attempt.started_at),
        ended_at=instant_to_wire(attempt.ended_at),
        outcome=attempt.outcome,
        error=attempt.error or "",
    )


def worker_to_wire(worker: Worker) -> WireWorker:
    """Return a worker as a message."""
    capability = worker.capability
    return WireWorker(
        id=capability.id,
        host=capability.host,
        connected=worker.session is not None,
        slots=capability.slots,
        leases=len(worker.leases),
        types=sorted(capability.types),
        roots=sorted(capability.roots),
        last_heartbeat_at=instant_to_wire(worker.last_seen_at),
        load=worker.load,
        version=capability.version,
        software_gpu=capability.software_gpu,
        sandbox=capability.sandbox,
    )


__all__ = [
    "JobRow",
    "attempt_from_wire",
    "capability_from_wire",
    "category_from_wire",
    "ending_from_wire",
    "instant_from_wire",
    "instant_to_wire",
    "job_id_from_wire",
    "job_to_wire",
    "known_type_from_wire",
    "known_type_to_wire",
    "submission_from_wire",
    "worker_to_wire",
]
