"""Connections past all links to a database that may still recover from what was done to it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from tests.support.patience import PATIENCE_S

PAUSE_S: Final = 0.05

#: What is heard from a server that starts, stops or recovers.
AWAY: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, TimeoutError)


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[asyncpg.Connection]:
    """Lend a connection, once there is one to be had."""
    connection = await _connect(dsn)
    try:
        yield connection
    finally:
        connection.terminate()


async def _connect(dsn: str) -> asyncpg.Connection:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncpg.connect(dsn, ssl=False, timeout=5.0, command_timeout=PATIENCE_S)
            except AWAY:
                await asyncio.sleep(PAUSE_S)
