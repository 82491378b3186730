"""Makes the daily partitions of history ahead of time."""

from datetime import UTC, datetime, timedelta
from typing import Final

from callsheet_scheduler.store.connection import Connection

PARTITIONED: Final = ("job_done", "job_attempt", "job_log")
"""The tables that are partitioned by the instant in a UUIDv7."""


def first_id_of(instant: datetime) -> str:
    """Return the smallest UUID whose first 48 bits are the milliseconds of *instant*."""
    digits = f"{int(instant.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


async def make_partitions(connection: Connection, *, now: datetime, days_ahead: int = 7) -> None:
    """Make what is missing for the days from two before *now* to *days_ahead* after it."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for offset in range(-2, days_ahead + 1):
        day = today + timedelta(days=offset)
        low, high = first_id_of(day), first_id_of(day + timedelta(days=1))
        for table in PARTITIONED:
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table}_{day:%Y%m%d} PARTITION OF {table} "
                f"FOR VALUES FROM ('{low}') TO ('{high}')",
            )
