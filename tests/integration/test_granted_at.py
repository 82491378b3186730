"""A lease begins when it was decided, not when its turn to be written came."""

import asyncpg

from tests.support.leader import leader


async def test_lease_that_waits_to_be_written_began_when_it_was_decided(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as one:
        first, second = (*await one.submit(), *await one.submit())
        await one.open(slots=1, credit=1)
        await one.told(lambda: bool(one.hands.grants))
        async with db_writer.transaction():
            await db_writer.execute("LOCK TABLE job_done IN SHARE MODE")
            one.end(one.hands.grants[0])
            one.give_credit(1)
            decided = one.now()
            one.clock.ahead += one.clock.ahead.resolution * 2_000_000
        await one.told(lambda: len(one.hands.grants) == 2)

        assert [grant.job.id for grant in one.hands.grants] == [first, second]
        granted_at = await db_writer.fetchval("SELECT granted_at FROM job_live WHERE id = $1", second)
        assert granted_at <= decided
