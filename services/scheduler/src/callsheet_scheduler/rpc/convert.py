"""Translates between the wire and the domain; no other module knows both."""

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1 import job_pb2, job_service_pb2
from callsheet_scheduler.domain.device import SOFTWARE
from callsheet_scheduler.domain.job import IfFails, JobId
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.store.history import AttemptRow, JobRow
from callsheet_scheduler.use_cases.jobs import Submission
from callsheet_scheduler.use_cases.type_changes import NewNeeds, SizeView, TypeView
from callsheet_scheduler.use_cases.views import JobView


def instant_from_wire(stamp: Timestamp) -> float:
    """Return seconds since 1970."""
    return stamp.seconds + stamp.nanos / 1e9


def stamp(message: Timestamp, at: float) -> None:
    """Put an instant, in seconds since 1970, into a message."""
    microseconds = round(at * 1e6)
    message.seconds, message.nanos = microseconds // 1_000_000, microseconds % 1_000_000 * 1000


def instant_to_wire(at: float | datetime | None) -> Timestamp | None:
    """Return the instant as a message; None stays None, that is an unset field."""
    if at is None:
        return None
    message = Timestamp()
    stamp(message, at.timestamp() if isinstance(at, datetime) else at)
    return message


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
    category, if_fails, needs = job.category, job.if_dependency_fails, job.depends_on
    return Submission(
        job.type,
        job.id,
        job.params_json,
        job.priority,
        category_from_wire(category, field="category") if category else None,
        job.vram_mib if job.HasField("vram_mib") else None,
        job.max_retries if job.HasField("max_retries") else None,
        instant_from_wire(job.run_at) if job.HasField("run_at") else None,
        job.interactive,
        job.parent_id,
        job.collection,
        job.submitted_by,
        depends_on=tuple(needs) if needs else (),
        if_dependency_fails=_if_fails_from_wire(if_fails) if if_fails else IfFails.FAIL,
        unique_key=job.unique_key,
    )


def _if_fails_from_wire(value: int) -> IfFails:
    try:
        return IfFails(value)
    except ValueError:
        message = f"{value} is nothing that can become of a job"
        raise InvalidError(message, field="if_dependency_fails") from None


def known_type_to_wire(known: KnownType) -> job_service_pb2.JobType:
    """Return a declared job type as a message."""
    return job_service_pb2.JobType(
        name=known.name,
        description=known.description,
        category=job_pb2.ResourceCategory.ValueType(known.category),
        vram_mib=known.vram_mib,
        run_limit_s=known.run_limit_s,
        params_schema_json=known.params_schema,
        resumable=known.resumable,
        learns_vram=known.learns_vram,
        internal=known.internal,
    )


def type_view_to_wire(view: TypeView, *, runs: bool = False) -> job_service_pb2.JobType:
    """Return a job type as a message, with the newest *runs* themselves on request."""
    change = view.change
    message = known_type_to_wire(view.declared)
    message.change.CopyFrom(
        job_service_pb2.TypeChange(
            vram_mib=change.vram_mib, run_limit_s=change.run_limit_s, learns_vram=change.learns_vram
        )
    )
    message.charge.CopyFrom(_charge_to_wire(view, view.charge_mib, learned=view.charge_learned))
    message.learned.extend(_learned_to_wire(view, one, runs=runs) for one in view.learned)
    return message


def _learned_to_wire(view: TypeView, size: SizeView, *, runs: bool) -> job_service_pb2.LearnedNeeds:
    one = size.learned
    return job_service_pb2.LearnedNeeds(
        size_class=one.size_class,
        runs=one.runs,
        median_run_s=one.median_run_s,
        p95_run_s=one.p95_run_s,
        p99_run_s=one.p99_run_s,
        vram_mib=one.vram_mib or 0,
        p99_vram_mib=one.p99_vram_mib or 0,
        vram_runs=one.vram_runs,
        charge=_charge_to_wire(view, size.charge_mib, learned=size.charge_learned),
        run_s=size.run_s if runs else (),
    )


def _charge_to_wire(view: TypeView, vram_mib: int, *, learned: bool) -> job_service_pb2.VramCharge:
    source = job_service_pb2.FIGURE_SOURCE_DECLARED
    if learned:
        source = job_service_pb2.FIGURE_SOURCE_LEARNED
    elif view.change.vram_mib is not None:
        source = job_service_pb2.FIGURE_SOURCE_CHANGED
    return job_service_pb2.VramCharge(vram_mib=vram_mib, source=source)


def new_needs_from_wire(request: job_service_pb2.ChangeJobTypeRequest) -> NewNeeds:
    """Return what to change of a job type."""
    names = ("vram_mib", "run_limit_s", "learns_vram")
    return NewNeeds(
        vram_mib=request.vram_mib if request.HasField("vram_mib") else None,
        run_limit_s=request.run_limit_s if request.HasField("run_limit_s") else None,
        learns_vram=request.learns_vram if request.HasField("learns_vram") else None,
        clear=frozenset(name for name in names if getattr(request, f"clear_{name}")),
    )


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
        pause_requested_at=instant_to_wire(row.pause_requested_at),
        stop_rung=job_pb2.StopRung.ValueType(row.stop_rung or 0),
        waiting_reason=view.waiting_reason,
        queue_position=view.queue_position,
        attempt=row.attempt,
        worker_id=row.worker_id or "",
        error=row.error or "",
        result_json=row.result or "",
        interactive=row.interactive,
        parent_id=row.parent_id or "",
        attempts=[_attempt_to_wire(attempt) for attempt in view.attempts],
        device_uuid=_uuid_of(row.device),
        software=row.device == SOFTWARE,
        depends_on=row.needs or (),
        if_dependency_fails=job_pb2.IfDependencyFails.ValueType(row.if_needed_fails or 0),
        unique_key=row.unique_key or "",
        children=row.children,
        collection=row.collection or "",
        submitted_by=row.submitted_by or "",
        predicted_end_at=instant_to_wire(view.predicted_end_at),
        predicted_start_at=instant_to_wire(view.predicted_start_at),
    )


def _attempt_to_wire(attempt: AttemptRow) -> job_pb2.JobAttempt:
    return job_pb2.JobAttempt(
        number=attempt.number,
        worker_id=attempt.worker_id or "",
        started_at=instant_to_wire(attempt.started_at),
        ended_at=instant_to_wire(attempt.ended_at),
        outcome=attempt.outcome,
        error=attempt.error or "",
        device_uuid=_uuid_of(attempt.device),
        software=attempt.device == SOFTWARE,
        vram_mib=0 if attempt.device == SOFTWARE else attempt.vram_mib or 0,
        peak_vram_mib=attempt.peak_vram_mib or 0,
    )


def _uuid_of(device: str | None) -> str:
    return "" if device is None or device == SOFTWARE else device


__all__ = [
    "JobRow",
    "category_from_wire",
    "instant_from_wire",
    "instant_to_wire",
    "job_id_from_wire",
    "job_to_wire",
    "known_type_to_wire",
    "new_needs_from_wire",
    "submission_from_wire",
    "type_view_to_wire",
]
