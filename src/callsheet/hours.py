"""What came and what ended, summed up by the hour; of the command line and the gateway."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from callsheet.v1.job_pb2 import JobState
from callsheet.v1.job_service_pb2 import HourCount, ListHoursResponse

HOUR: Final = timedelta(hours=1)

#: Hours that can be asked for at once: a week.
HOURS_MAX: Final = 168

#: Stands for all job types together; no type has this name.
ALL_TYPES: Final = ""


@dataclass(slots=True, kw_only=True)
class Hour:
    """What happened in one hour."""

    begins_at: datetime
    created: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    run_s: float = 0.0
    """Of the completed jobs together."""
    waited: int = 0
    """Jobs whose first attempt began."""
    wait_s: float = 0.0
    """Of these together."""
    longest_wait_s: float = 0.0

    @property
    def mean_run_s(self) -> float | None:
        """Seconds that a completed job ran; None where none was."""
        return self.run_s / self.completed if self.completed else None

    @property
    def mean_wait_s(self) -> float | None:
        """Seconds that a job waited before its first attempt; None where none began."""
        return self.wait_s / self.waited if self.waited else None


def hours_of(answer: ListHoursResponse) -> list[dict[str, Hour]]:
    """Return every hour from the first to the last, by job type; each has ALL_TYPES."""
    first, last = answer.first_hour.ToDatetime(UTC), answer.last_hour.ToDatetime(UTC)
    beginnings = [first + number * HOUR for number in range((last - first) // HOUR + 1)]
    hours = {at: {ALL_TYPES: Hour(begins_at=at)} for at in beginnings}
    for count in answer.counts:
        for hour in _of(hours, count.hour.ToDatetime(UTC), count.type):
            _add(hour, count)
    for wait in answer.waits:
        for hour in _of(hours, wait.hour.ToDatetime(UTC), wait.type):
            hour.waited += wait.jobs
            hour.wait_s += wait.wait_s
            hour.longest_wait_s = max(hour.longest_wait_s, wait.longest_wait_s)
    return list(hours.values())


def _of(hours: dict[datetime, dict[str, Hour]], at: datetime, job_type: str) -> list[Hour]:
    """Return what a figure of one type adds to; nothing for an hour that was not asked for."""
    types = hours.get(at)
    if types is None:
        return []
    return [types[ALL_TYPES], types.setdefault(job_type, Hour(begins_at=at))]


def _add(hour: Hour, count: HourCount) -> None:
    match count.state:
        case JobState.JOB_STATE_PENDING:
            hour.created += count.jobs
        case JobState.JOB_STATE_COMPLETED:
            hour.completed += count.jobs
            hour.run_s += count.run_s
        case JobState.JOB_STATE_FAILED:
            hour.failed += count.jobs
        case JobState.JOB_STATE_CANCELLED:
            hour.cancelled += count.jobs
        case _:
            pass
