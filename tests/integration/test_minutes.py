"""What is kept by the minute: how long jobs waited, and how the accounts of the GPUs stood."""

from datetime import timedelta

import asyncpg
from callsheet_scheduler.domain.waits import Wait
from callsheet_scheduler.maintenance.minutes import keep_minute
from callsheet_scheduler.maintenance.partitions import Partitions

from tests.support.leader import DAY, Leader, id_at, leader

WAITED = "SELECT sum(waited)::int, sum(wait_s), max(longest_wait_s), sum(completed)::int FROM job_hours"


async def waits(queue: Leader) -> tuple[int, float, float]:
    found: list[Wait] = list((await queue.views.hours(24)).waits)
    return (
        sum(one.jobs for one in found),
        sum(one.wait_s for one in found) / 3600,
        max((one.longest_wait_s for one in found), default=0.0) / 3600,
    )


async def test_waits_are_told_at_once_kept_by_the_minute_and_forgotten_with_the_history(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        first = await queue.submit()
        queue.clock.ahead += timedelta(hours=2)
        second = await queue.submit(ids=[id_at(queue.now()), id_at(queue.now())])
        queue.clock.ahead += timedelta(hours=1)
        await queue.finish(*first, *second)
        jobs, hours, longest = await waits(queue)
        assert (jobs, int(hours), int(longest)) == (3, 5, 3)
        await keep_minute(queue.term)
        assert await waits(queue) == (jobs, hours, longest)
        kept = await db_writer.fetchrow(WAITED)
        assert kept is not None
        assert tuple(kept) == (3, hours * 3600, longest * 3600, 3)

        queue.clock.ahead += timedelta(minutes=1)
        third = await queue.submit(ids=[id_at(queue.now())])
        await queue.finish(*third)
        await keep_minute(queue.term)
        assert (await waits(queue))[0] == 4

        queue.clock.ahead += 3 * DAY
        await Partitions(queue.leadership, fresh_dsn, history_days=2).round(queue.term)
        assert await db_writer.fetchval("SELECT count(*) FROM job_wait") == 0


async def test_a_leader_that_dies_takes_only_the_last_minute_along(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as queue:
        await queue.finish(*await queue.submit())
        await keep_minute(queue.term)
        await queue.finish(*await queue.submit())
        assert (await waits(queue))[0] == 2
    async with leader(fresh_dsn) as queue:
        assert (await waits(queue))[0] == 1
