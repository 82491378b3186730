"""A follow-up that is in history already is the same job, or the result is refused."""

import asyncpg
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.use_cases.jobs import Submission

from tests.support.leader import leader

SCAN = '{"directoryType": "a"}'


async def test_follow_up_that_is_done_is_left_out_and_never_lives_again(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as one:
        (done,) = await one.submit()
        await one.finish(done)
        (parent,) = await one.submit()
        (grant,) = await one.granted(parent)
        again = Submission(id=done, type="public_scan", params=SCAN)
        fresh = Submission(type="public_scan", params=SCAN)

        one.end(grant, follow_ups=[again, fresh])
        one.term.commits.flush()
        await one.told(lambda: parent in {ack.job_id for ack in one.hands.acks})

        live = await db_writer.fetch("SELECT id::text, parent_id::text FROM job_live")
        assert [row["parent_id"] for row in live] == [parent]
        assert {str(row["id"]) for row in live} == set(one.term.engine.queue.jobs)
        assert (
            await db_writer.fetchval("SELECT state FROM job_done WHERE id = $1", parent) == JobState.COMPLETED
        )


async def test_follow_up_under_the_id_of_another_job_of_history_is_refused(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as one:
        (done,) = await one.submit()
        await one.finish(done)
        (parent,) = await one.submit()
        (grant,) = await one.granted(parent)

        one.end(grant, follow_ups=[Submission(id=done, type="public_scan", params=SCAN, priority=1)])
        one.term.commits.flush()
        await one.told(lambda: parent in {ack.job_id for ack in one.hands.acks})

        row = await db_writer.fetchrow("SELECT state, error FROM job_done WHERE id = $1", parent)
        assert row is not None
        assert row["state"] == JobState.FAILED
        assert f"the follow-up job {done} is another one in history" in row["error"]
        assert await db_writer.fetchval("SELECT count(*) FROM job_live") == 0
        assert not one.term.engine.queue.jobs
