"""What came and what ended, by the hour, as REST has it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field, JsonValue

from callsheet.v1.job_pb2 import JobState
from callsheet.v1.job_service_pb2 import HourWait, ListHoursResponse
from callsheet_gateway.schemas.shared import Camel, Instant, Question, instant_of

HOUR: Final = timedelta(hours=1)
HOURS_MAX: Final = 168
FIELDS: Final = {
    JobState.JOB_STATE_PENDING: "created",
    JobState.JOB_STATE_COMPLETED: "completed",
    JobState.JOB_STATE_FAILED: "failed",
    JobState.JOB_STATE_CANCELLED: "cancelled",
}
_SCAN_EXAMPLE: Final[dict[str, JsonValue]] = {
    "created": 8,
    "completed": 7,
    "failed": 1,
    "cancelled": 0,
    "averageWait": 1.25,
    "longestWait": 8.5,
}


class HoursQuestion(Question):
    """Which hours."""

    hours: int = Field(default=24, ge=1, le=HOURS_MAX, description="How many, the present one included.")


class Came(Camel):
    """How many jobs were created, and how many ended how."""

    created: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    average_wait: float | None = Field(
        default=None,
        description="Seconds that jobs whose first attempt began had waited since they were created, or "
        "since their instant, without those that needed others; null for none.",
        examples=[1.25],
    )
    longest_wait: float | None = Field(default=None, description="The longest of these.", examples=[8.5])


class JobHour(Came):
    """What happened in one hour."""

    hour: Instant = Field(description="Its beginning.")
    average_processing_time: float = Field(
        default=0.0, description="Seconds, of jobs that were completed in it; 0 for none."
    )
    by_type: dict[str, Came] = Field(
        default={}, description="The same by job type.", examples=[{"scan": _SCAN_EXAMPLE}]
    )


class JobHours(Camel):
    """The last hours, the oldest first."""

    data: list[JobHour]


def hours_view(answer: ListHoursResponse) -> JobHours:
    """Return every hour from the first to the last, also those in which nothing happened."""
    first, last = answer.first_hour.ToDatetime(UTC), answer.last_hour.ToDatetime(UTC)
    hours = {
        first + number * HOUR: JobHour(hour=instant_of((first + number * HOUR).timestamp()), by_type={})
        for number in range((last - first) // HOUR + 1)
    }
    run_s: dict[datetime, float] = {}
    for count in answer.counts:
        at, name = count.hour.ToDatetime(UTC), FIELDS.get(count.state)
        hour = hours.get(at)
        if hour is None or name is None:
            continue
        for came in (hour, hour.by_type.setdefault(count.type, Came())):
            setattr(came, name, getattr(came, name) + count.jobs)
        if count.state == JobState.JOB_STATE_COMPLETED:
            run_s[at] = run_s.get(at, 0.0) + count.run_s
    for at, seconds in run_s.items():
        hours[at].average_processing_time = round(seconds / max(1, hours[at].completed), 3)
    _add_waits(hours, answer.waits)
    return JobHours(data=list(hours.values()))


def _add_waits(hours: Mapping[datetime, JobHour], waits: Iterable[HourWait]) -> None:
    """Say how long jobs waited, whole and by type."""
    told: dict[tuple[datetime, str | None], list[HourWait]] = {}
    for wait in waits:
        if (at := wait.hour.ToDatetime(UTC)) in hours:
            for name in (None, wait.type):
                told.setdefault((at, name), []).append(wait)
    for (at, name), those in told.items():
        came = hours[at] if name is None else hours[at].by_type.setdefault(name, Came())
        came.average_wait = round(sum(one.wait_s for one in those) / sum(one.jobs for one in those), 3)
        came.longest_wait = round(max(one.longest_wait_s for one in those), 3)
