"""The inbox of a scheduler in the test's own process, and an application that leaves jobs in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import asyncpg
import pytest
from callsheet_scheduler.use_cases.inbox import Inbox

from tests.support.leader import Leader, leader
from tests.support.patience import PATIENCE_S

SCAN: Final = '{"directoryType": "a"}'

#: Leaves a good job and returns its id.
LEAVE: Final = (
    "INSERT INTO inbox (type, params) VALUES ('public_scan', '{\"directoryType\": \"a\"}') RETURNING id::text"
)


@pytest.fixture
async def led(fresh_dsn: str) -> AsyncIterator[Leader]:
    """A scheduler's queue."""
    async with leader(fresh_dsn) as led:
        yield led


@pytest.fixture
async def inbox(led: Leader) -> Inbox:
    """Its inbox, which is looked into when the test says so."""
    return Inbox(led.leadership, led.jobs, led.types, led.past)


@pytest.fixture
async def app(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """An application's connection."""
    connection = await asyncpg.connect(fresh_dsn, ssl=False)
    yield connection
    await connection.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another process or a task brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 -- nothing sets an event
            await asyncio.sleep(0.01)


async def left(app: asyncpg.Connection) -> int:
    """Return how many rows the inbox has."""
    return int(await app.fetchval("SELECT count(*) FROM inbox"))


async def emptied(app: asyncpg.Connection) -> bool:
    """Return whether the inbox has none."""
    return await left(app) == 0


def live(led: Leader) -> set[str]:
    """Return the ids of the jobs that are not final."""
    return set(led.term.engine.queue.jobs)
