"""Schedules, as REST has them."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from google.protobuf.duration_pb2 import Duration
from pydantic import ConfigDict, Field, JsonValue

from callsheet.v1 import job_pb2
from callsheet.v1.schedule_service_pb2 import AddScheduleRequest, ChangeScheduleRequest, Schedule
from callsheet.v1.schedule_service_pb2 import CatchUp as WireCatchUp
from callsheet_gateway.schemas.jobs import JSON_OBJECT, TypeName
from callsheet_gateway.schemas.new_job import NewJob, new_job_to_wire
from callsheet_gateway.schemas.shared import Body, Camel, Instant, instant, instant_or_none

JOB_EXAMPLE: Final[dict[str, JsonValue]] = {
    "type": "scan",
    "params": {"path": "videos"},
    "priority": 8,
    "vramRequired": None,
    "maxRetries": None,
    "interactive": False,
    "uniqueKey": "media-cache",
    "collection": None,
}
SCHEDULE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "name": "media-cache",
    "cron": "0 3 * * *",
    "timeZone": "Europe/Berlin",
    "jitterS": 1800,
    "catchUp": "last",
    "catchUpMax": 10,
    "job": JOB_EXAMPLE,
    "createdAt": "2026-02-13T10:30:00.000Z",
    "pausedAt": None,
    "nextRunAt": "2026-02-14T02:12:09.130Z",
    "lastTickAt": "2026-02-13T02:00:00.000Z",
    "lastJobId": "019aa1f7-6f00-7000-8000-000000000001",
    "lastError": None,
}

Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Of its own choice.", examples=["media-cache"]),
]
Cron = Annotated[
    str,
    Field(
        max_length=200,
        description="Minute, hour, day of the month, month, day of the week; of six, the first are seconds.",
        examples=["0 3 * * *"],
    ),
]
Zone = Annotated[
    str, Field(max_length=64, description="The time zone of these times.", examples=["Europe/Berlin"])
]
Jitter = Annotated[
    float,
    Field(
        ge=0,
        le=24 * 3600,
        allow_inf_nan=False,
        description="Each job is submitted up to so many seconds later, but before the next.",
    ),
]
Most = Annotated[
    int, Field(ge=1, le=100, description="How many missed runs are made up for at most, with all.")
]


class CatchUp(StrEnum):
    """What happens to runs that nobody was there to submit."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class ScheduledJob(Camel):
    """What a schedule submits."""

    type: TypeName
    params: dict[str, JsonValue]
    priority: int = Field(description="1 (most urgent) to 10; 0 for the default.")
    vram_required: int | None = Field(description="MB; null: what the job type declares.")
    max_retries: int | None = Field(description="Automatic retries; null: the default.")
    interactive: bool
    unique_key: str | None = Field(description="No run begins while a job that has it is not final.")
    collection: str | None = Field(description="The collection of its jobs.")


class ScheduleView(Camel):
    """A job that is submitted again and again."""

    name: str
    cron: str
    time_zone: str
    jitter_s: float
    catch_up: CatchUp
    catch_up_max: int
    job: ScheduledJob
    created_at: Instant
    paused_at: Instant | None
    next_run_at: Instant | None = Field(description="Jitter included; null while it is paused.")
    last_tick_at: Instant | None = Field(description="The newest tick that a job was submitted for.")
    last_job_id: str | None = Field(description="The newest job that it submitted.")
    last_error: str | None = Field(description="Why it submitted nothing the last time.")


class ScheduleList(Camel):
    """Every schedule."""

    data: list[ScheduleView] = Field(description="By name.")


class NewSchedule(Body):
    """A schedule to be kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "media-cache",
                "cron": "0 3 * * *",
                "timeZone": "Europe/Berlin",
                "jitterS": 1800,
                "job": {"type": "scan", "params": {"path": "videos"}},
            }
        },
    )

    name: Name
    cron: Cron
    time_zone: Zone = "UTC"
    jitter_s: Jitter = 0.0
    catch_up: CatchUp = Field(
        default=CatchUp.LAST, description="What happens to runs that nobody was there to submit."
    )
    catch_up_max: Most = 10
    job: NewJob = Field(
        description="Without id, runAt, resourceCategory and dependencies; with uniqueKey no two at once."
    )


class ScheduleChange(Body):
    """What to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"cron": "30 4 * * *"}})

    cron: Cron | None = None
    time_zone: Zone | None = None
    jitter_s: Jitter | None = None
    catch_up: CatchUp | None = None
    catch_up_max: Most | None = None
    job: NewJob | None = Field(default=None, description="Replaces the job as a whole.")


class ScheduleRun(Camel):
    """A job that was submitted beside the ticks."""

    job_id: str = Field(examples=["019aa1f7-6f00-7000-8000-000000000001"])
    created_at: Instant


def added_to_wire(new: NewSchedule) -> AddScheduleRequest:
    """Return what is said of a new schedule."""
    return AddScheduleRequest(
        name=new.name,
        cron=new.cron,
        time_zone=new.time_zone,
        jitter=_duration(new.jitter_s),
        catch_up=_catch_up_to_wire(new.catch_up),
        catch_up_max=new.catch_up_max,
        job=new_job_to_wire(new.job),
    )


def changed_to_wire(name: str, change: ScheduleChange) -> ChangeScheduleRequest:
    """Return what to change."""
    return ChangeScheduleRequest(
        name=name,
        cron=change.cron,
        time_zone=change.time_zone,
        jitter=None if change.jitter_s is None else _duration(change.jitter_s),
        catch_up=_catch_up_to_wire(change.catch_up),
        catch_up_max=change.catch_up_max or 0,
        job=None if change.job is None else new_job_to_wire(change.job),
    )


def schedule_view(schedule: Schedule) -> ScheduleView:
    """Return a schedule."""
    return ScheduleView(
        name=schedule.name,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        jitter_s=schedule.jitter.ToTimedelta().total_seconds(),
        catch_up=CatchUp(WireCatchUp.Name(schedule.catch_up).removeprefix("CATCH_UP_").lower()),
        catch_up_max=schedule.catch_up_max,
        job=_job_view(schedule.job),
        created_at=instant(schedule.created_at),
        paused_at=instant_or_none(schedule.paused_at),
        next_run_at=instant_or_none(schedule.next_run_at),
        last_tick_at=instant_or_none(schedule.last_tick_at),
        last_job_id=schedule.last_job_id or None,
        last_error=schedule.last_error or None,
    )


def _job_view(job: job_pb2.NewJob) -> ScheduledJob:
    return ScheduledJob(
        type=job.type,
        params=JSON_OBJECT.validate_json(job.params_json or "{}"),
        priority=job.priority,
        vram_required=job.vram_mib if job.HasField("vram_mib") else None,
        max_retries=job.max_retries if job.HasField("max_retries") else None,
        interactive=job.interactive,
        unique_key=job.unique_key or None,
        collection=job.collection or None,
    )


def _catch_up_to_wire(catch_up: CatchUp | None) -> WireCatchUp.ValueType:
    return WireCatchUp.Value(f"CATCH_UP_{'UNSPECIFIED' if catch_up is None else catch_up.name}")


def _duration(seconds: float) -> Duration:
    length = Duration()
    length.FromTimedelta(timedelta(seconds=seconds))
    return length
