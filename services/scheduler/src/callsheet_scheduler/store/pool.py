"""Opens connections with the settings that guard the plans and the patience of statements."""

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

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

READER_SETTINGS = {
    "application_name": "callsheet-reader",
    "jit": "off",
    "statement_timeout": "10s",
    "default_transaction_read_only": "on",
}


async def open_writer(dsn: str, *, deadline_s: float = 10.0) -> asyncpg.Connection:
    """Open a connection for writing. An error of the connection comes as ``OSError`` or asyncpg's."""
    return await asyncpg.connect(
        dsn,
        timeout=deadline_s,
        command_timeout=60.0,
        server_settings=WRITER_SETTINGS,
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
