"""Opens connections with the settings that guard the plans and the patience of statements."""

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from callsheet.errors import UnavailableError

#: Plans are made once and go by index, whatever the statistics of a young table say.
WRITER_SETTINGS = {
    "application_name": "callsheet-writer",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
}

#: Rounds beside the queue: a statement may take long, and waits for nobody who works.
MAINTAINER_SETTINGS = {
    "application_name": "callsheet-maintainer",
    "jit": "off",
    "statement_timeout": "15min",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}

READER_SETTINGS = {
    "application_name": "callsheet-reader",
    "jit": "off",
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_read_only": "on",
}


async def open_writer(dsn: str, *, deadline_s: float = 10.0) -> asyncpg.Connection:
    """Open a connection for writing. An error of the connection comes as ``OSError`` or asyncpg's.

    Raises:
        UnavailableError: A pooler in between has dropped a setting.
    """
    connection = await asyncpg.connect(
        dsn,
        timeout=deadline_s,
        command_timeout=60.0,
        server_settings=WRITER_SETTINGS,
    )
    try:
        await check_settings(connection, WRITER_SETTINGS)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def check_settings(connection: asyncpg.Connection, settings: dict[str, str]) -> None:
    """Make sure that a session has the settings that it was opened with.

    Raises:
        UnavailableError: One of them is another.
    """
    names = list(settings)
    rows = await connection.fetch("SELECT current_setting(n) FROM unnest($1::text[]) AS n", names)
    for name, (present,) in zip(names, rows, strict=True):
        if present != settings[name]:
            raise UnavailableError(
                f"a session with the database has {name} = {present} instead of {settings[name]}: let the "
                "pooler in CALLSHEET_DATABASE_URL pass settings on, or name the database itself"
            )


async def open_maintainer(dsn: str) -> asyncpg.Connection:
    """Open a connection for what is done beside the queue."""
    return await asyncpg.connect(
        dsn, timeout=10.0, command_timeout=960.0, server_settings=MAINTAINER_SETTINGS
    )


async def open_readers(dsn: str, *, connections_max: int) -> asyncpg.Pool:
    """Open a pool for reading."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=connections_max,
        timeout=10.0,
        command_timeout=15.0,
        server_settings=READER_SETTINGS,
    )


def open_lists(dsn: str, *, connections_max: int) -> AsyncEngine:
    """Open SQLAlchemy's pool for the lists whose filters vary."""
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        url,
        pool_size=connections_max,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"timeout": 10.0, "command_timeout": 15.0, "server_settings": READER_SETTINGS},
    )
