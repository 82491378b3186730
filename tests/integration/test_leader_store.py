"""The two keys and the term, on a real PostgreSQL."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from callsheet_scheduler.store import leader
from callsheet_scheduler.store.pool import check_direct, open_candidate, open_writer

from callsheet.errors import UnavailableError
from tests.support.patience import PATIENCE_S
from tests.support.pooler import pooler_before

TTL_S = 1.0

FIRST, SECOND = "10.0.0.1:7420", "10.0.0.2:7420"


class Sessions:
    """Connections of a test, closed at its end."""

    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self.dsn = dsn
        self._stack = stack

    async def candidate(self, *, ttl_s: float = 60.0) -> asyncpg.Connection:
        """Open a connection that wants to lead."""
        return self._kept(await open_candidate(self.dsn, ttl_s=ttl_s))

    async def writer(self, term: int) -> asyncpg.Connection:
        """Open a connection that writes for the leadership *term*."""
        writer = self._kept(await open_writer(self.dsn))
        await leader.join_term(writer, term)
        return writer

    def _kept(self, connection: asyncpg.Connection) -> asyncpg.Connection:
        self._stack.callback(connection.terminate)
        return connection


@pytest.fixture
async def sessions(fresh_dsn: str) -> AsyncIterator[Sessions]:
    async with AsyncExitStack() as stack:
        yield Sessions(fresh_dsn, stack)


async def leading(sessions: Sessions, address: str = FIRST) -> tuple[asyncpg.Connection, int]:
    """Lead, and return the candidate and the term."""
    candidate = await sessions.candidate()
    assert (await leader.try_candidate(candidate)).won
    return candidate, (await leader.take_over(candidate, address)).term


async def test_of_two_candidates_one_wins_and_the_other_hears_who(sessions: Sessions) -> None:
    await leading(sessions, FIRST)

    standing = await leader.try_candidate(await sessions.candidate())

    assert standing == leader.Standing(won=False, leader=FIRST)


async def test_an_address_of_an_earlier_term_is_not_told(sessions: Sessions, fresh_dsn: str) -> None:
    await leading(sessions, FIRST)
    release_before = await open_writer(fresh_dsn)
    await release_before.execute("UPDATE leader SET term = term + 1")
    await release_before.close()

    assert not (await leader.try_candidate(await sessions.candidate())).leader


async def test_a_take_over_ends_what_an_earlier_leader_writes(sessions: Sessions) -> None:
    candidate, term = await leading(sessions)
    writer = await sessions.writer(term)
    await writer.execute("BEGIN")
    await writer.execute("INSERT INTO job_type VALUES ('late', '', 1, 0, 1, '{}')")
    candidate.terminate()

    _, later = await leading(sessions, SECOND)

    assert later == term + 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await writer.execute("COMMIT")
    reader = await sessions.writer(later)
    assert await reader.fetchval("SELECT count(*) FROM job_type WHERE name = 'late'") == 0


async def test_a_take_over_ends_a_statement_that_runs(sessions: Sessions) -> None:
    candidate, term = await leading(sessions)
    writer = await sessions.writer(term)
    sleeping = asyncio.ensure_future(writer.execute("SELECT pg_sleep(100)"))
    watcher = await sessions.writer(term)
    while not await watcher.fetchval(  # noqa: ASYNC110 -- another session
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    ):
        await asyncio.sleep(0.01)
    candidate.terminate()

    async with asyncio.timeout(PATIENCE_S):
        await leading(sessions, SECOND)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await sleeping


async def test_nobody_writes_for_a_leadership_that_is_over(sessions: Sessions) -> None:
    candidate, term = await leading(sessions)
    candidate.terminate()
    await leading(sessions, SECOND)

    with pytest.raises(UnavailableError, match=f"leadership {term} has ended"):
        await sessions.writer(term)


async def test_a_leadership_that_is_over_is_not_renewed(sessions: Sessions, fresh_dsn: str) -> None:
    candidate, term = await leading(sessions)
    await leader.renew(candidate, term, at=1e9, deadline_s=30)
    other = await open_writer(fresh_dsn)
    await other.execute("UPDATE leader SET term = term + 1")

    with pytest.raises(UnavailableError, match=f"leadership {term} has ended"):
        await leader.renew(candidate, term, at=2e9, deadline_s=30)

    assert await other.fetchval("SELECT last_at FROM leader") == 1e9
    await other.close()


async def test_the_instants_of_an_earlier_leader_are_handed_on(sessions: Sessions) -> None:
    candidate, term = await leading(sessions)
    ahead = 4e9
    await leader.renew(candidate, term, at=ahead, deadline_s=30)
    candidate.terminate()
    successor = await sessions.candidate()
    async with asyncio.timeout(PATIENCE_S):
        while not (await leader.try_candidate(successor)).won:  # noqa: ASYNC110 -- another session
            await asyncio.sleep(0.01)

    assert (await leader.take_over(successor, SECOND)).last_at == ahead


async def test_a_candidate_that_falls_silent_loses_its_key(sessions: Sessions) -> None:
    silent = await sessions.candidate(ttl_s=TTL_S)
    assert (await leader.try_candidate(silent)).won
    successor = await sessions.candidate()

    async with asyncio.timeout(TTL_S + 30):
        while not (await leader.try_candidate(successor)).won:  # noqa: ASYNC110 -- another session
            await asyncio.sleep(0.05)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await leader.take_over(silent, FIRST)


@pytest.mark.parametrize(
    ("pids", "direct"),
    [
        ([11, 11, 12, 11, 12, 12], True),
        ([11, 11, 11, 11, 11, 11], False),
        ([11, 12, 11, 12, 11, 12], False),
        ([11, 11, 12, 12, 11, 11], False),
        ([], False),
    ],
)
def test_two_connections_are_two_sessions_or_not(pids: list[int], *, direct: bool) -> None:
    assert leader.are_two_sessions(pids) is direct


async def test_the_database_itself_is_no_pooler(fresh_dsn: str) -> None:
    await check_direct(fresh_dsn)


async def test_a_pooler_that_changes_sessions_is_refused(fresh_dsn: str) -> None:
    async with pooler_before(fresh_dsn) as address:
        with pytest.raises(UnavailableError, match="CALLSHEET_DATABASE_URL leads to a pooler"):
            await check_direct(address)


async def test_a_scheduler_behind_such_a_pooler_ends_with_one_sentence(fresh_dsn: str) -> None:
    async with pooler_before(fresh_dsn) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "callsheet_scheduler.main",
            env=os.environ | {"CALLSHEET_DATABASE_URL": address, "CALLSHEET_LISTEN": "127.0.0.1:0"},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE_S):
            _, said = await process.communicate()

    assert process.returncode == 2
    assert said.decode().splitlines()[-1] == (
        "CALLSHEET_DATABASE_URL leads to a pooler that changes sessions between transactions, and leadership "
        "rests on session locks: name the database itself, or a pooler in session mode"
    )
