"""Opens connections with the settings that guard the plans and the patience of statements."""

from dataclasses import dataclass

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from callsheet.errors import UnavailableError
from callsheet_scheduler.store.connection import Own, Pool
from callsheet_scheduler.store.leader import check_sessions

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

#: Seconds that a statement of a reader may take: less than a call may (`callsheet.service.server`), so
#: that its caller hears what was too slow.
READ_LIMIT_S = 4.0

READER_SETTINGS = {
    "application_name": "callsheet-reader",
    "jit": "off",
    "statement_timeout": f"{READ_LIMIT_S:.0f}s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_read_only": "on",
}


@dataclass(slots=True, kw_only=True)
class Writers:
    """The connections of one leadership."""

    candidate: Own
    intake: Own
    turn: Own
    logs: Own
    library: Own
    readers: Pool

    def open_ones(self) -> tuple[Own, ...]:
        """Return all connections but the readers'."""
        return (self.candidate, self.intake, self.turn, self.logs, self.library)


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


async def check_direct(dsn: str) -> None:
    """Make sure that a connection is a session of the database's own.

    Raises:
        UnavailableError: It is not.
    """
    one = await asyncpg.connect(dsn, timeout=10.0, command_timeout=10.0, statement_cache_size=0)
    try:
        other = await asyncpg.connect(dsn, timeout=10.0, command_timeout=10.0, statement_cache_size=0)
        try:
            await check_sessions(one, other)
        finally:
            other.terminate()
    finally:
        one.terminate()


async def open_candidate(dsn: str, *, ttl_s: float) -> asyncpg.Connection:
    """Open a connection whose session the server ends after *ttl_s* of silence. Needs PostgreSQL 14.

    Raises:
        UnavailableError: The server would not end it.
    """
    silence_ms = round(ttl_s * 1000)
    settings = WRITER_SETTINGS | {"application_name": "callsheet-candidate"}
    connection = await asyncpg.connect(
        dsn,
        timeout=10.0,
        command_timeout=max(ttl_s, 10.0),
        server_settings=settings | {"idle_session_timeout": f"{silence_ms}"},
    )
    try:
        await check_settings(connection, settings)
        await _check_silence(connection, silence_ms)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _check_silence(connection: asyncpg.Connection, silence_ms: int) -> None:
    present = await connection.fetchval(
        "SELECT setting::bigint FROM pg_settings WHERE name = 'idle_session_timeout'"
    )
    if present != silence_ms:
        raise UnavailableError(
            "a session with the database has no idle_session_timeout, without which a leader that hangs "
            "would lead for ever: name a PostgreSQL of at least 14 itself in CALLSHEET_DATABASE_URL"
        )


async def open_readers(dsn: str, *, connections_max: int) -> asyncpg.Pool:
    """Open a pool for reading; it connects when somebody reads."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=connections_max,
        timeout=10.0,
        command_timeout=READ_LIMIT_S * 2,
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
        connect_args={
            "timeout": 10.0,
            "command_timeout": READ_LIMIT_S * 2,
            "server_settings": READER_SETTINGS,
        },
    )
