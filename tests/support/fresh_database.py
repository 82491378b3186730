"""A PostgreSQL server for the run, and in it a database of its own for each test that asks for one."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.migrate import migrate
from callsheet_scheduler.store.partitions import make_partitions
from callsheet_scheduler.store.pool import open_lists, open_readers, open_writer
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.folders import open_folder

#: Surviving a crash is not what is asked of the server here.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_server() -> AsyncIterator[EmbeddedPostgres]:
    with open_folder() as folder:
        postgres = EmbeddedPostgres(folder, settings=FAST)
        await postgres.start()
        await _run(postgres.dsn(), "CREATE DATABASE migrated")
        await migrate(postgres.dsn("migrated"))
        await _make_days(postgres.dsn("migrated"))
        yield postgres
        await postgres.close()


async def new_database(server: EmbeddedPostgres) -> str:
    """Make a database with all tables and no rows, and return its address."""
    name = f"t{uuid4().hex}"
    # Copied by files: by the log, the default, it takes three times as long.
    await _run(server.dsn(), f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY FILE_COPY")
    return server.dsn(name)


@pytest_asyncio.fixture
async def fresh_dsn(database_server: EmbeddedPostgres) -> str:
    """The address of a database with all tables and no rows."""
    return await new_database(database_server)


@pytest_asyncio.fixture
async def db_writer(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the settings of the leader's."""
    connection = await open_writer(fresh_dsn)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def db_readers(fresh_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections with the settings of readers."""
    pool = await open_readers(fresh_dsn, connections_max=2)
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def db_lists(fresh_dsn: str) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy's connections, with the settings of readers."""
    engine = open_lists(fresh_dsn, connections_max=2)
    yield engine
    await engine.dispose()


async def _make_days(dsn: str) -> None:
    """Make the daily tables, of days before and behind the present one."""
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        await make_partitions(connection, now=await connection.fetchval("SELECT now()"))
    finally:
        await connection.close()


async def _run(dsn: str, text: str) -> None:
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        await connection.execute(text)
    finally:
        await connection.close()
