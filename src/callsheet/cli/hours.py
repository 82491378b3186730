"""``callsheet jobs hours``: what came and what ended, hour by hour."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import Document
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import duration_text
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.job_service_pb2 import ListHoursResponse

app = typer.Typer()

COLUMNS: Final = (
    "HOUR",
    "CREATED>",
    "COMPLETED>",
    "FAILED>",
    "CANCELLED>",
    "MEAN RUN>",
    "MEAN WAIT>",
    "LONGEST WAIT>",
)
HOURS_MAX: Final = 168
HOUR: Final = timedelta(hours=1)


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


@command(app, "hours")
async def list_hours(
    reach: Reach,
    *,
    hours: Annotated[
        int, typer.Option(min=1, max=HOURS_MAX, help="How many, the present one included.")
    ] = 24,
    job_type: Annotated[str, typer.Option("--type", help="Only jobs of this type.")] = "",
) -> ExitCode:
    """Show what came and what ended by the hour, and how long jobs waited, the oldest hour first."""
    found = hours_of(await reach.client.hours(hours), job_type)
    if reach.output.as_json:
        for one in found:
            reach.output.document(_document(one))
    else:
        reach.output.table(COLUMNS, [_row(one) for one in found])
    return ExitCode.OK


def hours_of(answer: ListHoursResponse, job_type: str = "") -> list[Hour]:
    """Return every hour from the first to the last; *job_type* for jobs of one type alone."""
    first, last = answer.first_hour.ToDatetime(UTC), answer.last_hour.ToDatetime(UTC)
    beginnings = [first + number * HOUR for number in range((last - first) // HOUR + 1)]
    hours = {at: Hour(begins_at=at) for at in beginnings}
    for count in answer.counts:
        hour = hours.get(count.hour.ToDatetime(UTC))
        if hour is None or job_type not in {"", count.type}:
            continue
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
    for wait in answer.waits:
        hour = hours.get(wait.hour.ToDatetime(UTC))
        if hour is not None and job_type in {"", wait.type}:
            hour.waited += wait.jobs
            hour.wait_s += wait.wait_s
            hour.longest_wait_s = max(hour.longest_wait_s, wait.longest_wait_s)
    return list(hours.values())


def _row(hour: Hour) -> tuple[str, ...]:
    counts = (hour.created, hour.completed, hour.failed, hour.cancelled)
    longest_s = hour.longest_wait_s if hour.waited else None
    lengths = (hour.mean_run_s, hour.mean_wait_s, longest_s)
    return (
        hour.begins_at.strftime("%Y-%m-%d %H:%MZ"),
        *(f"{count:,}" if count else "" for count in counts),
        *("" if length_s is None else duration_text(length_s) for length_s in lengths),
    )


def _document(hour: Hour) -> Document:
    return {
        "hour": hour.begins_at.isoformat().replace("+00:00", "Z"),
        "created": hour.created,
        "completed": hour.completed,
        "failed": hour.failed,
        "cancelled": hour.cancelled,
        "mean_run_s": hour.mean_run_s,
        "mean_wait_s": hour.mean_wait_s,
        "longest_wait_s": hour.longest_wait_s if hour.waited else None,
    }
