"""Translates schedules."""

from google.protobuf.duration_pb2 import Duration

from callsheet.errors import InvalidError
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.schedule_service_pb2 import AddScheduleRequest, ChangeScheduleRequest
from callsheet.v1.schedule_service_pb2 import CatchUp as WireCatchUp
from callsheet.v1.schedule_service_pb2 import Schedule as WireSchedule
from callsheet_scheduler.domain.schedules import CatchUp, Schedule, Template
from callsheet_scheduler.rpc.convert import category_from_wire, duration_to_wire, instant_to_wire
from callsheet_scheduler.use_cases.schedules import Wanted


def schedule_to_wire(schedule: Schedule, next_due: float | None) -> WireSchedule:
    """Return a schedule as a message."""
    template = schedule.template
    return WireSchedule(
        name=schedule.name,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        jitter=duration_to_wire(schedule.jitter_s),
        catch_up=WireCatchUp.ValueType(schedule.catch_up),
        catch_up_max=schedule.catch_up_max,
        job=NewJob(
            type=template.type,
            params_json=template.params,
            priority=template.priority,
            interactive=template.interactive,
            vram_mib=template.vram_mib,
            max_retries=template.max_retries,
            unique_key=template.unique_key,
            collection=template.collection,
        ),
        created_at=instant_to_wire(schedule.created_at),
        paused_at=instant_to_wire(schedule.paused_at),
        next_run_at=instant_to_wire(next_due),
        last_tick_at=instant_to_wire(schedule.last_tick),
        last_job_id=schedule.last_job_id or "",
        last_error=schedule.error or "",
    )


def added_from_wire(request: AddScheduleRequest) -> Wanted:
    """Return what is said of a new schedule."""
    return Wanted(
        cron=request.cron,
        time_zone=request.time_zone,
        jitter_s=_seconds(request.jitter),
        catch_up=_catch_up(request.catch_up),
        catch_up_max=request.catch_up_max or None,
        template=_template(request.job) if request.HasField("job") else None,
    )


def changed_from_wire(request: ChangeScheduleRequest) -> Wanted:
    """Return what is to change."""
    return Wanted(
        cron=request.cron if request.HasField("cron") else None,
        time_zone=request.time_zone if request.HasField("time_zone") else None,
        jitter_s=_seconds(request.jitter) if request.HasField("jitter") else None,
        catch_up=_catch_up(request.catch_up),
        catch_up_max=request.catch_up_max or None,
        template=_template(request.job) if request.HasField("job") else None,
    )


def _template(job: NewJob) -> Template:
    for field, given in (
        ("id", bool(job.id)),
        ("run_at", job.HasField("run_at")),
        ("parent_id", bool(job.parent_id)),
        ("depends_on", bool(job.depends_on)),
        ("category", category_from_wire(job.category, field="job.category") is not None),
    ):
        if given:
            raise InvalidError("has no place in a schedule; leave it out", field=f"job.{field}")
    return Template(
        type=job.type,
        params=job.params_json or "{}",
        priority=job.priority,
        interactive=job.interactive,
        vram_mib=job.vram_mib if job.HasField("vram_mib") else None,
        max_retries=job.max_retries if job.HasField("max_retries") else None,
        unique_key=job.unique_key,
        collection=job.collection,
    )


def _catch_up(value: int) -> CatchUp | None:
    if value == WireCatchUp.CATCH_UP_UNSPECIFIED:
        return None
    try:
        return CatchUp(value)
    except ValueError:
        message = f"{value} is no way to catch up"
        raise InvalidError(message, field="catch_up") from None


def _seconds(length: Duration) -> float:
    return length.seconds + length.nanos / 1e9
