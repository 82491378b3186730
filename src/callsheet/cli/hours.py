"""``callsheet jobs hours``: what came and what ended, hour by hour."""

from typing import Annotated, Final

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import Document
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import duration_text
from callsheet.hours import ALL_TYPES, HOURS_MAX, Hour, hours_of

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
    answer = await reach.client.hours(hours)
    found = [types.get(job_type) or Hour(begins_at=types[ALL_TYPES].begins_at) for types in hours_of(answer)]
    if reach.output.as_json:
        for one in found:
            reach.output.document(_document(one))
    else:
        reach.output.table(COLUMNS, [_row(one) for one in found])
    return ExitCode.OK


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
