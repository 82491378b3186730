"""The counters of history are what its rows say."""

from contextlib import suppress
from random import Random

import asyncpg
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.maintenance.partitions import Partitions

from callsheet.errors import NotFoundError
from tests.support.days import days, pass_days
from tests.support.leader import id_at, leader

HISTORY_DAYS = 5


async def test_counters_follow_jobs_that_end_come_back_and_go(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    chance = Random(3)  # noqa: S311 -- a chance that can be repeated
    async with leader(fresh_dsn) as queue:
        keeper = Partitions(queue.leadership, fresh_dsn, history_days=HISTORY_DAYS)
        failed: list[JobId] = []
        for _ in range(14):
            await pass_days(queue, keeper, 1)
            ids = await queue.submit(ids=[id_at(queue.now()) for _ in range(chance.randrange(1, 12))])
            retried = [job_id for job_id in failed if chance.random() < 0.4]
            for job_id in retried:
                with suppress(NotFoundError):
                    await queue.actions.retry(job_id)
                    ids.append(job_id)
            failed = [job_id for job_id in failed if job_id not in retried]
            broken = [job_id for job_id in ids if chance.random() < 0.4]
            left = [job_id for job_id in ids if job_id not in broken and chance.random() < 0.2]
            await queue.finish(*(job_id for job_id in ids if job_id not in {*broken, *left}))
            await queue.finish(*broken, ending=Ending.BAD_INPUT)
            failed += broken
            for job_id in left:
                await queue.actions.cancel(job_id, by="")
            counted = await db_writer.fetch(
                "SELECT state, type, category, jobs FROM job_counter WHERE hour = '-infinity' AND jobs <> 0"
            )
            there = await db_writer.fetch(
                "SELECT state, type, category, count(*) FROM job_done GROUP BY state, type, category"
                " UNION ALL SELECT 1, type, category, count(*) FROM job_done GROUP BY type, category"
            )
            assert sorted(map(tuple, counted)) == sorted(map(tuple, there))
        assert len(await days(db_writer)) < HISTORY_DAYS + 12
