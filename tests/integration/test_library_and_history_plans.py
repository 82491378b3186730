"""The reads and writes that must stay quick in large tables go by index."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import sqlalchemy as sa
from callsheet_scheduler.domain.job import FINAL, JobId, JobState
from callsheet_scheduler.domain.library import ItemState, MediaKind
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.history import JobFilter, page_statement
from callsheet_scheduler.store.library_reads import ItemFilter, items_statement
from callsheet_scheduler.store.pool import READER_SETTINGS, WRITER_SETTINGS
from callsheet_scheduler.store.statements import statement

from callsheet.catalog import Category
from callsheet.ids import new_job_id
from tests.support.fresh_database import new_database

ROWS = 20_000
DIALECT = sa.create_engine("postgresql+asyncpg://").dialect

FILL_JOBS = """
INSERT INTO {table} (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash, created_at,
    params, state, token, attempt, retry_count, lost_count, capacity_count, {more}
)
SELECT
    (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 4000), 12, '0')
        || '7000a000' || lpad(to_hex(n), 12, '0'))::uuid,
    n, 'type' || n % 50, 1 + n % 3, 5, false, 0, 3, 0, now(), '{{}}', {state}, n, 0, 0, 0, 0, {values}
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

FILL_LOGS = """
INSERT INTO job_log SELECT id, 1, n, 'text' FROM job_done CROSS JOIN generate_series(1, 3) AS n
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled_dsn(database_server: EmbeddedPostgres) -> str:
    """A database with tens of thousands of rows in each table and fresh statistics."""
    dsn = await new_database(database_server)
    connection = await asyncpg.connect(dsn, ssl=False)
    live = FILL_JOBS.format(table="job_live", state="1", more="error", values="NULL")
    done = FILL_JOBS.format(
        table="job_done",
        state="CASE WHEN n % 200 = 0 THEN 6 ELSE 5 END",
        more="finished_at",
        values="now()",
    )
    for fill in (live, done, FILL_ITEMS):
        await connection.execute(fill, ROWS)
    for fill in (FILL_DERIVATIVES, FILL_LOGS, "ANALYZE"):
        await connection.execute(fill)
    await connection.close()
    return dsn


@pytest_asyncio.fixture
async def reader(filled_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(filled_dsn, ssl=False, server_settings=READER_SETTINGS)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def leader(filled_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(filled_dsn, ssl=False, server_settings=WRITER_SETTINGS)
    yield connection
    await connection.close()


async def plan(connection: asyncpg.Connection, text: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}"))


def whole_scans(text: str) -> list[str]:
    """The tables that a plan reads from end to end, those without a page apart."""
    return re.findall(r"Seq Scan on (\w+).*cost=(?!0\.00\.\.0\.00 )", text)


def rendered(query: sa.Select[Any] | sa.Select[Any, Any, Any]) -> str:
    return str(query.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


BEFORE = JobId(new_job_id())


async def test_reading_a_whole_table_would_be_noticed(reader: asyncpg.Connection) -> None:
    assert whole_scans(await plan(reader, "SELECT FROM job_live WHERE error = 'x'")) == ["job_live"]
    assert whole_scans(await plan(reader, "SELECT FROM library_item WHERE width = 7")) == ["library_item"]


@pytest.mark.parametrize("before", [None, BEFORE], ids=["first page", "later page"])
@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(),
        JobFilter(states=frozenset({JobState.PENDING})),
        JobFilter(states=frozenset({JobState.FAILED})),
        JobFilter(states=frozenset({JobState.FAILED, JobState.CANCELLED})),
        JobFilter(states=frozenset({JobState.COMPLETED})),
        JobFilter(states=FINAL),
        JobFilter(states=frozenset({JobState.PAUSED, JobState.PENDING, JobState.COMPLETED})),
        JobFilter(states=frozenset({JobState.COMPLETED}), types=frozenset({"type7"})),
        JobFilter(categories=frozenset({Category.GPU_AI})),
        JobFilter(states=frozenset({JobState.RUNNING}), leased_ids=frozenset({BEFORE})),
    ],
)
async def test_pages_of_jobs_go_by_index(
    reader: asyncpg.Connection, wanted: JobFilter, before: JobId | None
) -> None:
    text = await plan(reader, rendered(page_statement(wanted, before=before, skip=0, limit=21)))
    assert "Index" in text
    assert whole_scans(text) == []


async def test_failed_jobs_are_found_by_the_index_of_what_did_not_complete(
    reader: asyncpg.Connection,
) -> None:
    wanted = JobFilter(states=frozenset({JobState.FAILED}))
    assert "state_id_idx" in await plan(
        reader, rendered(page_statement(wanted, before=None, skip=0, limit=21))
    )


@pytest.mark.parametrize("after", ["", "year3/day77/x"])
@pytest.mark.parametrize(
    "wanted",
    [
        ItemFilter(),
        ItemFilter(root="root2"),
        ItemFilter(root="root2", folder="year3"),
        ItemFilter(root="root2", folder="year3/day77", kinds=(MediaKind.IMAGE,)),
        ItemFilter(root="root2", states=(ItemState.OK,)),
    ],
)
async def test_pages_of_items_go_by_index(reader: asyncpg.Connection, wanted: ItemFilter, after: str) -> None:
    place = (wanted.root or "root1", after) if after else None
    text = await plan(reader, rendered(items_statement(wanted, place, 101)))
    assert "library_item_root_path_key" in text
    assert whole_scans(text) == []


@pytest.mark.parametrize(
    "name", ["read_jobs", "read_attempts", "read_items", "find_item", "read_derivatives"]
)
async def test_rows_by_their_key_go_by_index(reader: asyncpg.Connection, name: str) -> None:
    ids = [str(row[0]) for row in await reader.fetch("SELECT id FROM library_item LIMIT 20")]
    values: dict[str, Sequence[object]] = {
        "read_jobs": (ids,),
        "read_attempts": (ids[0],),
        "read_items": (ids,),
        "find_item": ("root1", "year1"),
        "read_derivatives": (ids, ["aa"] * len(ids)),
    }
    rows = await reader.fetch(f"EXPLAIN {statement(name)}", *values[name])
    assert whole_scans("\n".join(row[0] for row in rows)) == []


async def test_log_is_read_by_index_in_order(reader: asyncpg.Connection) -> None:
    rows = await reader.fetch(f"EXPLAIN {statement('read_log')}", new_job_id(), 1, 5)
    text = "\n".join(row[0] for row in rows)
    assert whole_scans(text) == []


@pytest.mark.parametrize(
    "name", ["lock_lease", "upsert_items", "upsert_derivatives", "mark_missing", "mark_broken"]
)
async def test_writes_of_the_library_go_by_index(leader: asyncpg.Connection, name: str) -> None:
    prepared = await leader.prepare(statement(name))
    blanks = ", ".join("NULL" for _ in prepared.get_parameters())
    types = ", ".join(_type_name(kind) for kind in prepared.get_parameters())
    await leader.execute(f"PREPARE hot ({types}) AS {statement(name)}")
    text = await plan(leader, f"EXECUTE hot ({blanks})")
    assert whole_scans(text) == []


def _type_name(kind: asyncpg.Type) -> str:
    return f"{kind.name.removesuffix('[]')}[]" if kind.kind == "array" else kind.name
