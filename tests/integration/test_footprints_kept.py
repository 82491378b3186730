"""What was learned of jobs is written now and then, and the next leader goes on from it."""

import asyncpg
import pytest
from callsheet_scheduler.maintenance.footprints import keep_once
from callsheet_scheduler.store.footprints import load_footprints

from callsheet.errors import UnavailableError
from tests.support.leader import leader


async def test_next_leader_knows_what_the_last_one_learned(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as first:
        (job_id,) = await first.submit()
        await first.finish(job_id)
        await keep_once(first.term)
        await keep_once(first.term)
        (kept,) = await load_footprints(db_writer)
        assert (kept.key, kept.runs, len(kept.run_s), kept.need_mib) == (("public_scan", None), 1, 1, [])
        learned = first.term.engine.footprints.of_type("public_scan")
    async with leader(fresh_dsn) as second:
        assert second.term.engine.footprints.of_type("public_scan") == learned


async def test_what_could_not_be_written_is_written_with_the_next(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        await queue.finish(*await queue.submit())
        await db_writer.execute("ALTER TABLE footprint ADD CONSTRAINT shut CHECK (false) NOT VALID")
        with pytest.raises(UnavailableError):
            await keep_once(queue.term)
        await db_writer.execute("ALTER TABLE footprint DROP CONSTRAINT shut")
        await keep_once(queue.term)
        assert [kept.runs for kept in await load_footprints(db_writer)] == [1]


async def test_size_class_outlives_the_leader_and_the_job(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as first:
        (job_id,) = await first.submit()
        await db_writer.execute("UPDATE job_live SET size_class = 7")
    async with leader(fresh_dsn) as second:
        assert second.term.engine.queue.jobs[job_id].size_class == 7
        await second.finish(job_id)
        assert await db_writer.fetchval("SELECT size_class FROM job_done WHERE id = $1", job_id) == 7
        sizes = [one.size_class for one in second.term.engine.footprints.of_type("public_scan")]
        assert sizes == [None, 7]
