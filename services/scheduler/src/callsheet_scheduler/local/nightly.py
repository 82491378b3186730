"""Keeps the cache built without anybody's asking: the schedule that a start on one machine adds."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.duration_pb2 import Duration

from callsheet.catalog import BULK_PRIORITY, CACHE_BUILD
from callsheet.client import Client
from callsheet.errors import ConflictError
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.schedule_service_pb2 import AddScheduleRequest, CatchUp

NAME: Final = "cache-build"
SETTING: Final = "CALLSHEET_CACHE_SCHEDULE"
DAILY: Final = "0 3 * * *"
"""Every day at three, by the machine's time zone."""
JITTER: Final = timedelta(minutes=30)


async def add_cache_build(client: Client, environment: Mapping[str, str]) -> bool:
    """Add the schedule; one of its name is left as it is. Returns whether it is wanted.

    ``CALLSHEET_CACHE_SCHEDULE`` is a cron expression to take instead, or empty for none.

    Raises:
        InvalidError: The expression is none.
    """
    cron = environment.get(SETTING, DAILY).strip()
    if not cron:
        return False
    jitter = Duration()
    jitter.FromTimedelta(JITTER)
    wanted = AddScheduleRequest(
        name=NAME,
        cron=cron,
        time_zone=time_zone(environment.get("TZ", ""), Path("/etc/localtime")),
        jitter=jitter,
        catch_up=CatchUp.CATCH_UP_LAST,
        job=NewJob(type=CACHE_BUILD.name, params_json="{}", priority=BULK_PRIORITY, unique_key=NAME),
    )
    try:
        await client.add_schedule(wanted)
    except ConflictError:
        return True  # somebody changed it: theirs counts
    return True


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
