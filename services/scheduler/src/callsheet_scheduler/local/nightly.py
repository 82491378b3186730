"""Keeps the cache built and swept unasked: the schedules that a start on one machine adds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.duration_pb2 import Duration

from callsheet.catalog import BULK_PRIORITY, CACHE_BUILD, CACHE_SWEEP, JobType
from callsheet.client import Client
from callsheet.errors import ConflictError
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.schedule_service_pb2 import AddScheduleRequest, CatchUp

JITTER: Final = timedelta(minutes=30)
ORIGINALS: Final = ("library", "uploads")
"""The roots whose files somebody may add, change and delete by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly:
    """A schedule that is there unless somebody does not want it."""

    name: str
    job_type: JobType
    cron: str
    """By the machine's time zone."""
    setting: str
    """A variable: a cron expression to take instead, or empty for none."""


NIGHTLY: Final = (
    Nightly(name="cache-build", job_type=CACHE_BUILD, cron="0 3 * * *", setting="CALLSHEET_CACHE_SCHEDULE"),
    Nightly(name="cache-sweep", job_type=CACHE_SWEEP, cron="0 5 * * *", setting="CALLSHEET_SWEEP_SCHEDULE"),
)


async def add_nightly(client: Client, nightly: Nightly, environment: Mapping[str, str]) -> None:
    """Add the schedule, if it is wanted; one of its name is left as it is.

    Raises:
        InvalidError: The expression is none.
    """
    cron = environment.get(nightly.setting, nightly.cron).strip()
    if not cron:
        return
    jitter = Duration()
    jitter.FromTimedelta(JITTER)
    job_type = nightly.job_type.name
    wanted = AddScheduleRequest(
        name=nightly.name,
        cron=cron,
        time_zone=time_zone(environment.get("TZ", ""), Path("/etc/localtime")),
        jitter=jitter,
        catch_up=CatchUp.CATCH_UP_LAST,
        job=NewJob(
            type=job_type,
            params_json=json.dumps({"roots": ORIGINALS}),
            priority=BULK_PRIORITY,
            unique_key=nightly.name,
        ),
    )
    try:
        await client.add_schedule(wanted)
    except ConflictError:
        return  # somebody changed it: theirs counts


def time_zone(named: str, link: Path) -> str:
    """Return the name of the machine's time zone: what TZ says, else what *link* leads to, else UTC."""
    target = str(link.readlink()) if link.is_symlink() else ""
    for name in (named.removeprefix(":"), target.partition("zoneinfo/")[2]):
        if name:
            try:
                ZoneInfo(name)
            except (OSError, ValueError, ZoneInfoNotFoundError):
                continue
            return name
    return "UTC"
