"""The ticks of a cron expression in a time zone: the instants that it names, in whole seconds since 1970.

Expressions have five fields, or six with seconds in front. Those of a fixed time of day are read as Debian's
cron reads them: a time that a change of the clock leaves out ticks when the clock has changed, one that
comes twice ticks the first time. Expressions that begin an hour or a minute field with a star follow real
time through both.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from callsheet.errors import InvalidError

#: Characters of an expression, and of the name of a time zone.
CRON_MAX: Final = 200
ZONE_MAX: Final = 64

#: Seconds that are looked back for the newest ticks at first; each further look goes back twice as far.
LOOK_BACK_S: Final = 120.0


def check_cron(cron: str, time_zone: str, now: float) -> None:
    """Refuse what names no instants.

    Raises:
        InvalidError: The time zone is not known, the expression is none, or its day never comes.
    """
    if len(time_zone) > ZONE_MAX or not _is_zone(time_zone):
        message = f"{time_zone[:ZONE_MAX]!r} is no time zone; name one as Europe/Berlin, or UTC"
        raise InvalidError(message, field="time_zone")
    if len(cron) > CRON_MAX:
        message = f"has {len(cron)} characters; at most {CRON_MAX} are allowed"
        raise InvalidError(message, field="cron")
    try:
        tick = next_tick(cron, time_zone, now)
    except CronSimError as error:
        message = (
            f"{cron!r} is no cron expression ({str(error).lower()}); "
            "write minute, hour, day of the month, month and day of the week, such as 0 3 * * *"
        )
        raise InvalidError(message, field="cron") from error
    if tick is None:
        message = f"{cron!r} names a day that never comes"
        raise InvalidError(message, field="cron")


def next_tick(cron: str, time_zone: str, after: float) -> float | None:
    """Return the first tick later than *after*; None where none comes within two generations."""
    return next(_ticks(cron, time_zone, after), None)


def newest_ticks(cron: str, time_zone: str, after: float, until: float, most: int) -> list[float]:
    """Return the last *most* ticks later than *after* and not later than *until*, oldest first."""
    look_back_s = LOOK_BACK_S
    while True:
        start = max(after, until - look_back_s)
        found: deque[float] = deque(maxlen=most)
        for tick in _ticks(cron, time_zone, start):
            if tick > until:
                break
            found.append(tick)
        if start <= after or len(found) == most:
            return list(found)
        look_back_s *= 2


def _ticks(cron: str, time_zone: str, after: float) -> Iterator[float]:
    """Yield the ticks later than *after*."""
    start = datetime.fromtimestamp(int(after // 1), ZoneInfo(time_zone) if time_zone != "UTC" else UTC)
    last = after
    for instant in CronSim(cron, start):
        tick = instant.timestamp()
        # From within an hour that comes twice, the library tells the first of the two again.
        if tick > last:
            last = tick
            yield tick


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
