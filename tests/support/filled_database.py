"""A database with much in it, and what a plan says of the tables that it reads."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.pool import READER_SETTINGS, WRITER_SETTINGS

from tests.support.fresh_database import new_database

ROWS = 20_000

FILL_JOBS = """
INSERT INTO {table} (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash, created_at,
    params, state, token, attempt, retry_count, lost_count, capacity_count, {more}
)
SELECT
    (lpad(
        to_hex((extract(epoch FROM date_trunc('day', now(), 'UTC')) * 1000)::bigint + (n - $1 / 2) * 4000),
        12, '0'
    ) || '7000{mark}000' || lpad(to_hex(n), 12, '0'))::uuid,
    n, 'type' || n % 50, CASE WHEN n % 1000 = 0 THEN 3 ELSE 1 + n % 2 END, 5, false, 0, 3, 0, now(), '{{}}',
    {state}, n, 0, 0, 0, 0, {values}
FROM generate_series(1, $1::bigint) AS n
"""

FILL_ITEMS = """
INSERT INTO library_item
SELECT
    gen_random_uuid(), 'root' || n % 4, 'year' || n % 10 || '/day' || n % 365 || '/file' || n, 1 + n % 4,
    CASE WHEN n % 100 = 0 THEN 2 ELSE 1 END, '', n, n, 'aa', 1, 1, NULL, '', '', '', 0, 0, 0, 0, '{}', false,
    now(), now()
FROM generate_series(1, $1::bigint) AS n
"""

FILL_DERIVATIVES = """
INSERT INTO library_derivative
SELECT id, 'thumbnail', 'box300', 'aa', 'd', path, '', 1, 1, 1, '', id, 1, now() FROM library_item
"""

FILL_TAGS = """
INSERT INTO library_tag
SELECT
    i.id, 'metadata', CASE WHEN i.size_bytes % 1000 = 0 THEN 'rare' ELSE 'image' END, 1, '', 'aa', i.id, now()
FROM library_item AS i
"""

FILL_ATTEMPTS = """
INSERT INTO job_attempt SELECT id, 1, 1, 'w', NULL, now(), 'failed', 'fell' FROM job_done
"""

FILL_LOGS = """
INSERT INTO job_log SELECT id, 1, n, 'text' FROM job_done CROSS JOIN generate_series(1, 3) AS n
"""

FILL_INBOX = """
INSERT INTO inbox (type) SELECT 'type' || n % 50 FROM generate_series(1, $1::bigint) AS n
"""

FILL_KEYS = """
INSERT INTO api_key
SELECT
    gen_random_uuid(), 'key' || n, 2, decode(lpad(to_hex(n), 64, '0'), 'hex'), now(), '', NULL, NULL, NULL,
    NULL
FROM generate_series(1, $1::bigint) AS n
"""

FILL_AUDIT = """
INSERT INTO audit_entry
SELECT gen_random_uuid(), now(), 'actor' || n % 50, '', '', '', 200, ''
FROM generate_series(1, $1::bigint) AS n
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled_dsn(database_server: EmbeddedPostgres) -> str:
    """A database with tens of thousands of rows in each table and fresh statistics.

    Half of the jobs are of yesterday and half of today, whatever the hour: few rows are read from end to end.
    """
    dsn = await new_database(database_server)
    connection = await asyncpg.connect(dsn, ssl=False)
    live = FILL_JOBS.format(table="job_live", mark="a", state="1", more="error", values="NULL")
    done = FILL_JOBS.format(
        table="job_done",
        mark="b",
        state="CASE WHEN n % 200 = 0 THEN 6 ELSE 5 END",
        more="finished_at",
        values="now()",
    )
    for fill in (live, done, FILL_ITEMS, FILL_INBOX, FILL_KEYS, FILL_AUDIT):
        await connection.execute(fill, ROWS)
    for fill in (FILL_DERIVATIVES, FILL_TAGS, FILL_LOGS, FILL_ATTEMPTS, "ANALYZE"):
        await connection.execute(fill)
    await connection.close()
    return dsn


@pytest_asyncio.fixture
async def reading(filled_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(filled_dsn, ssl=False, server_settings=READER_SETTINGS)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def writing(filled_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(filled_dsn, ssl=False, server_settings=WRITER_SETTINGS)
    yield connection
    await connection.close()


async def plan(connection: asyncpg.Connection, text: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}"))


def whole_scans(text: str) -> list[str]:
    """The tables that a plan reads from end to end, those without a page apart."""
    return re.findall(r"Seq Scan on (\w+).*cost=(?!0\.00\.\.0\.00 )", text)
