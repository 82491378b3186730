"""What came and what ended, by the hour, as REST has it."""

from typing import Final, TypedDict

from pydantic import Field, JsonValue

from callsheet.hours import ALL_TYPES, HOURS_MAX, Hour, hours_of
from callsheet.v1.job_service_pb2 import ListHoursResponse
from callsheet_gateway.schemas.shared import Camel, Instant, Question, instant_of

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
    return JobHours(
        data=[
            JobHour(
                **_came(types[ALL_TYPES]),
                hour=instant_of(types[ALL_TYPES].begins_at.timestamp()),
                average_processing_time=round(types[ALL_TYPES].mean_run_s or 0.0, 3),
                by_type={name: Came(**_came(hour)) for name, hour in types.items() if name != ALL_TYPES},
            )
            for types in hours_of(answer)
        ]
    )


class _Figures(TypedDict):
    created: int
    completed: int
    failed: int
    cancelled: int
    average_wait: float | None
    longest_wait: float | None


def _came(hour: Hour) -> _Figures:
    mean_s = hour.mean_wait_s
    return {
        "created": hour.created,
        "completed": hour.completed,
        "failed": hour.failed,
        "cancelled": hour.cancelled,
        "average_wait": None if mean_s is None else round(mean_s, 3),
        "longest_wait": round(hour.longest_wait_s, 3) if hour.waited else None,
    }
