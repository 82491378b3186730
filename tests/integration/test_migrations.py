"""A database of every earlier release, with data in it, becomes one of this release."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.job_lists import JobFilter
from callsheet_scheduler.store.migrate import migrate, migrations
from callsheet_scheduler.store.partitions import make_partitions

from callsheet.ids import new_job_id
from tests.support.leader import leader

NUMBERS = [number for number, _, _ in migrations()]

LEDGER = (
    "CREATE TABLE schema_migration "
    "(number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
)

#: One row and more for each table that a migration made, written as the release of then did. $1 waits,
#: $2 is completed, $3 failed after two attempts.
ROWS: dict[int, list[str]] = {
    1: [
        "UPDATE leader SET term = 3",
        "INSERT INTO job_type VALUES ('late', 'Comes with a worker.', 1, 0, 60, '{{}}')",
        """
        INSERT INTO job_live (
            id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
            created_at, params, state, token, attempt, retry_count, lost_count, capacity_count
        ) VALUES (
            '{waits}', 9, 'public_scan', 1, 5, false, 0, 3, 0, now(), '{{"directoryType": "a"}}', 1, 0, 0, 0,
            0, 0
        )
        """,
        """
        INSERT INTO job_done (
            id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
            created_at, params, state, token, attempt, retry_count, lost_count, capacity_count, worker_id,
            host, granted_at, started_at, finished_at, error, result
        ) VALUES (
            '{completed}', 7, 'public_scan', 1, 5, false, 0, 3, 0, now(), '{{"directoryType": "a"}}', 5, 8, 1,
            0, 0, 0, 'w', 'h', now(), now(), now(), NULL, '{{"files": 3}}'
        ), (
            '{failed}', 8, 'public_scan', 1, 5, false, 0, 1, 0, now(), '{{"directoryType": "a"}}', 6, 9, 2,
            1, 0, 0, 'w', 'h', now(), now(), now(), 'it broke', NULL
        )
        """,
        "INSERT INTO job_attempt VALUES ('{failed}', 1, 5, 'w', now(), now(), 'failed', 'it broke')",
        "INSERT INTO job_log VALUES ('{completed}', 1, 1, 'first'), ('{completed}', 1, 2, ', second')",
        """
        INSERT INTO job_counter VALUES
            ('-infinity', 1, 'public_scan', 1, 2, 0),
            ('-infinity', 5, 'public_scan', 1, 1, 0),
            ('-infinity', 6, 'public_scan', 1, 1, 0)
        """,
        """
        INSERT INTO library_item VALUES (
            '{item}', 'library', 'a/b.jpg', 1, 1, '', 9, 9, 'aa', 1, 1, NULL, 'JPEG', '', '', 0, 0, 0, 0,
            '{{}}', false, now(), now()
        )
        """,
        """
        INSERT INTO library_derivative VALUES (
            '{item}', 'thumbnail', 'box300', 'aa', 'derivatives', 'x.webp', 'image/webp', 1, 1, 1, '',
            '{completed}', 8, now()
        )
        """,
    ],
    2: [
        "INSERT INTO queue_pause VALUES ('gpu_ai', now(), 'admin')",
        "INSERT INTO queue_limit VALUES ('cpu', 7, NULL)",
        "INSERT INTO worker_drain VALUES ('old', NULL, now(), 'admin')",
        "INSERT INTO output_intent VALUES ('{completed}', 'made', 'a.mp4', 8, 'staged.mp4')",
    ],
    7: [
        "INSERT INTO device VALUES ('GPU-1', 'h', 0, 'card', '1', 8000, 500, NULL, 900, 1)",
        "INSERT INTO allocation VALUES ('{completed}', 8, 'GPU-1', 'w', 900, 1, now(), now())",
    ],
    8: ["INSERT INTO footprint VALUES ('public_scan', -1, 2, '{{1.5, 2}}', '{{}}')"],
    9: [
        """
        INSERT INTO schedule VALUES (
            'nightly', '0 3 * * *', 'UTC', 0, 2, 10, 'public_scan', '{{"directoryType": "a"}}', 0, false,
            NULL, NULL, 9e9, 9e9
        )
        """,
    ],
    15: ["INSERT INTO library_left VALUES ('library', 'inbox/b.jpg', '{item}', now())"],
    19: [
        """
        INSERT INTO library_tag VALUES (
            '{item}', 'metadata', 'landscape', 1, '', 'aa', '{completed}', now()
        )
        """,
    ],
    14: [
        "INSERT INTO collection VALUES ('trip', 'A trip', now())",
        "INSERT INTO collection_counter VALUES ('trip', 5, 1, now(), now())",
    ],
    27: ["INSERT INTO immich_server VALUES ('home', now(), 'admin', 2, '{{ocr}}')"],
    32: [
        "INSERT INTO job_wait VALUES (now(), 'public_scan', 1, 2, 3, 2)",
        "INSERT INTO device_sample VALUES (now(), 'GPU-1', 8000, 900, NULL, NULL)",
    ],
    30: ["INSERT INTO ended_session VALUES ('aa', 'infinity')"],
    25: ["INSERT INTO job_type_change VALUES ('public_scan', NULL, 60, NULL, now(), 'admin', '{{}}')"],
    22: [
        """
        INSERT INTO api_key VALUES (
            '{item}', 'site', 2, decode(repeat('00', 32), 'hex'), now(), 'admin', NULL, NULL, NULL, NULL
        )
        """,
        "INSERT INTO audit_entry VALUES ('{item}', now(), 'admin', '::1', 'POST /a', '/a', 200, '')",
    ],
    20: ["INSERT INTO inbox (type) VALUES ('no_such_type')"],
}


@pytest_asyncio.fixture
async def empty_dsn(database_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of a database without a table."""
    name = f"t{uuid4().hex}"
    server = await asyncpg.connect(database_server.dsn(), ssl=False)
    await server.execute(f"CREATE DATABASE {name}")
    yield database_server.dsn(name)
    await server.close()


@pytest.fixture
def ids() -> dict[str, str]:
    return {name: new_job_id() for name in ("waits", "completed", "failed", "item")}


async def release(dsn: str, through: int, ids: dict[str, str]) -> None:
    """Make what a release left that knew the migrations up to *through*, used since the first."""
    connection = await asyncpg.connect(dsn, ssl=False)
    await connection.execute(LEDGER)
    for number, name, text in migrations():
        if number > through:
            continue
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute("INSERT INTO schema_migration VALUES ($1, $2)", number, name)
        if number == NUMBERS[0]:
            await make_partitions(connection, now=await connection.fetchval("SELECT now()"))
        for row in ROWS.get(number, []):
            await connection.execute(row.format(**ids))
    await connection.close()


async def empty_tables(connection: asyncpg.Connection) -> list[str]:
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    return [
        table
        for (table,) in tables
        if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608 -- from above
    ]


async def description(dsn: str) -> list[tuple[str, ...]]:
    """Everything that the schema says, whatever day it is."""
    connection = await asyncpg.connect(dsn, ssl=False)
    rows = await connection.fetch(
        """
        SELECT 'column', attrelid::regclass::text,
            CASE WHEN NOT relispartition THEN attnum END::text, attname, format_type(atttypid, atttypmod),
            attnotnull::text, pg_get_expr(adbin, adrelid), attcollation::regcollation::text
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT attisdropped
        UNION ALL
        SELECT 'index', tablename, regexp_replace(indexdef, 'INDEX \\S+ ON', 'INDEX ON'), '', '', '', '', ''
        FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL
        SELECT 'constraint', conrelid::regclass::text, pg_get_constraintdef(oid), contype::text, '', '', '',
            ''
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'table', relname, relkind::text, reloptions::text, pg_get_partkeydef(oid),
            relispartition::text, pg_get_viewdef(oid), ''
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
        """
    )
    await connection.close()
    return sorted({tuple(re.sub(r"_\d{8}", "_day", str(value)) for value in row) for row in rows})


def test_numbers_go_up_and_are_those_of_the_files() -> None:
    assert sorted(set(NUMBERS)) == NUMBERS
    assert [f"{number:04}_" for number in NUMBERS] == [name[:5] for _, name, _ in migrations()]
    assert set(ROWS) <= set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
async def test_database_of_an_earlier_release_keeps_its_data_and_goes_on(
    empty_dsn: str, ids: dict[str, str], number: int
) -> None:
    await release(empty_dsn, number, ids)
    connection = await asyncpg.connect(empty_dsn, ssl=False)
    assert await empty_tables(connection) == []
    names = [name for later, name, _ in migrations() if later > number]
    assert await migrate(empty_dsn) == names
    assert await migrate(empty_dsn) == []
    async with leader(empty_dsn) as queue:
        assert queue.term.number == 4
        page = await queue.views.page(JobFilter(), size=10, after="", skip=0)
        assert {(job.row.id, job.state) for job in page.jobs} == {
            (ids["waits"], JobState.PENDING),
            (ids["completed"], JobState.COMPLETED),
            (ids["failed"], JobState.FAILED),
        }
        failed = await queue.views.job(JobId(ids["failed"]))
        assert [attempt.error for attempt in failed.attempts] == ["it broke", "it broke"]
        texts = [text async for text in queue.logs.read(JobId(ids["completed"]), follow=True)]
        assert "".join(texts) == "first, second"
        await queue.actions.retry(JobId(ids["failed"]))
        await queue.finish(JobId(ids["waits"]), JobId(ids["failed"]))
        stats = await queue.views.stats()
        assert {state: jobs for (state, _), jobs in stats.states.items() if jobs} == {JobState.COMPLETED: 3}
    assert await connection.fetchval("SELECT path FROM library_item") == "a/b.jpg"
    await connection.close()


async def test_migrating_again_changes_nothing(fresh_dsn: str) -> None:
    before = await description(fresh_dsn)
    assert await migrate(fresh_dsn) == []
    assert await description(fresh_dsn) == before


async def test_processes_that_migrate_at_once_apply_each_migration_once(empty_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_dsn) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == [name for _, name, _ in migrations()]


@pytest.mark.parametrize("number", NUMBERS)
async def test_schema_does_not_depend_on_the_way_to_it(
    fresh_dsn: str, empty_dsn: str, ids: dict[str, str], number: int
) -> None:
    await release(empty_dsn, number, ids)
    await migrate(empty_dsn)
    assert await description(empty_dsn) == await description(fresh_dsn)


async def test_migration_that_fails_leaves_nothing_behind(empty_dsn: str, ids: dict[str, str]) -> None:
    await release(empty_dsn, NUMBERS[0], ids)
    connection = await asyncpg.connect(empty_dsn, ssl=False)
    await connection.execute("CREATE TABLE jobs (in_the_way boolean)")
    before = await description(empty_dsn)
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(empty_dsn)
    missing = {row[0] for row in await connection.fetch("SELECT number FROM schema_migration")}
    assert missing == {number for number in NUMBERS if number < 3}
    await connection.execute("DROP TABLE jobs")
    assert await description(empty_dsn) != before
    await migrate(empty_dsn)
    await connection.close()
