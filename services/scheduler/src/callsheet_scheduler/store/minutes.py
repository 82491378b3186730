"""Keeps what the leader saw of waits and of GPUs, by the minute."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import DeviceId
from callsheet_scheduler.domain.waits import Wait, WaitKey
from callsheet_scheduler.store.connection import Connection, Pool
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement

MINUTE_S: Final = 60.0


class DeviceSample(NamedTuple):
    """The account of one GPU in one minute, in MiB."""

    device: DeviceId
    capacity_mib: int
    allocated_mib: int
    observed_mib: int | None
    """What our jobs used; None without a fresh reading."""
    foreign_mib: int | None


class SampledAt(NamedTuple):
    """An account as it was kept."""

    at: float
    """Seconds since 1970."""
    sample: DeviceSample


async def add_waits(connection: Connection, waits: Sequence[Wait]) -> None:
    """Add to the waits of their hours."""
    await connection.execute(
        statement("add_waits"),
        [one.key.hour for one in waits],
        [one.key.type for one in waits],
        [int(one.key.category) for one in waits],
        [one.jobs for one in waits],
        [one.wait_s for one in waits],
        [one.longest_wait_s for one in waits],
    )


async def add_device_samples(connection: Connection, samples: Sequence[DeviceSample], *, at: float) -> None:
    """Keep the accounts of a minute."""
    await connection.execute(
        statement("add_device_samples"), at, *(list(column) for column in zip(*samples, strict=True))
    )


async def prune_minutes(connection: Connection, *, before: float) -> None:
    """Forget the waits and the accounts before an instant."""
    await connection.execute(statement("prune_waits"), before)
    await connection.execute(statement("prune_device_samples"), before)


class MinutesStore:
    """Reads what was kept."""

    def __init__(self, readers: Pool) -> None:
        self._readers = readers

    async def waits(self, *, since: float) -> list[Wait]:
        """Return the waits of the hours that begin at *since* or later."""
        with repeatable():
            async with self._readers.acquire() as connection:
                rows = await connection.fetch(statement("recent_waits"), since)
        return [
            Wait(
                key=WaitKey(row["hour"], row["type"], Category(row["category"])),
                jobs=row["jobs"],
                wait_s=row["wait_s"],
                longest_wait_s=row["longest_wait_s"],
            )
            for row in rows
        ]

    async def device_samples(self, *, since: float) -> list[SampledAt]:
        """Return the accounts that were kept at *since* or later, oldest first."""
        with repeatable():
            async with self._readers.acquire() as connection:
                rows = await connection.fetch(statement("recent_device_samples"), since)
        return [SampledAt(at, DeviceSample(*sample)) for at, *sample in rows]
