"""Reads the table in which applications leave jobs, and takes rows out of it."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from callsheet_scheduler.domain.effects import Taken, Unfit
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.domain.queue import HOUR_S
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.errors import WithdrawnError
from callsheet_scheduler.store.queue import CounterKey, count_jobs
from callsheet_scheduler.store.statements import statement


class InboxRow(NamedTuple):
    """A job as an application left it; nothing of it is checked."""

    number: int
    id: str
    type: str
    params: str | None
    """None where they are too large to be read."""
    priority: int | None
    interactive: bool
    vram_mib: int | None
    max_retries: int | None
    run_at: float | None
    depends_on: Sequence[str]
    unique_key: str
    collection: str


async def read_inbox(connection: Connection, *, limit: int, params_bytes_max: int) -> list[InboxRow]:
    """Return the oldest rows that nobody is changing."""
    found = await connection.fetch(statement("read_inbox"), limit, params_bytes_max)
    return [InboxRow(**dict(row)) for row in found]


async def take_inbox(connection: Connection, taken: Sequence[Taken]) -> None:
    """Take rows out, and put those that are no acceptable jobs into history as failed ones.

    Raises:
        WithdrawnError: Some are not there, or somebody is changing them.
    """
    numbers = [one.number for one in taken]
    there = {row["number"] for row in await connection.fetch(statement("take_inbox"), numbers)}
    if missing := set(numbers) - there:
        raise WithdrawnError(missing)
    unfit = [one.unfit for one in taken if one.unfit is not None]
    if not unfit:
        return
    await connection.execute(
        statement("insert_unfit"),
        [one.ids[0] for one in unfit],
        [one.ids[1] for one in unfit],
        [one.sequence for one in unfit],
        [one.type for one in unfit],
        [int(one.category) for one in unfit],
        [one.params for one in unfit],
        [one.error for one in unfit],
        [one.at for one in unfit],
    )
    await count_jobs(connection, _counters(unfit))


def _counters(unfit: Sequence[Unfit]) -> Counter[CounterKey]:
    counted: Counter[CounterKey] = Counter()
    for one in unfit:
        for hour in (None, one.at // HOUR_S * HOUR_S):
            for state in (JobState.PENDING, JobState.FAILED):
                counted[hour, int(state), one.type, int(one.category)] += 1
    return counted
