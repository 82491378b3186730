"""A retry that rests on what history no longer says is a conflict, and ends no leadership."""

import asyncio

import asyncpg
import pytest
from callsheet_scheduler.domain.outcome import Ending

from callsheet.errors import ConflictError
from tests.support.leader import leader
from tests.support.patience import PATIENCE_S


async def test_retry_of_a_job_that_changed_since_it_was_read_is_a_conflict(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as one:
        first, other = (*await one.submit(), *await one.submit())
        await one.finish(first, other, ending=Ending.BAD_INPUT)
        term = one.term
        async with db_writer.transaction():
            await db_writer.execute("UPDATE job_done SET token = token + 1 WHERE id = $1", first)
            retrying = asyncio.create_task(one.actions.retry(first))
            async with asyncio.timeout(PATIENCE_S):
                while first not in term.engine.queue.jobs:  # noqa: ASYNC110 -- another task
                    await asyncio.sleep(0.01)
        with pytest.raises(ConflictError, match="ended again meanwhile"):
            await retrying

        await one.actions.retry(other)
        assert one.term is term
        assert first not in term.engine.queue.jobs
        assert await db_writer.fetchval("SELECT count(*) FROM job_done WHERE id = $1", first) == 1
