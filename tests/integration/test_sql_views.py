"""The views for readers by SQL: the queries of the documented systems work, and nothing can be written."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.domain.library import BrokenItem, ItemId, LibraryChanges
from sqlalchemy.engine import make_url

from callsheet.catalog import Category
from callsheet.ids import new_job_id
from tests.support.job_rows import JobRow, insert_jobs
from tests.support.library_rows import NOW, apply_changes, derive, photo, scanned, thumbnail

VIEWS = ("jobs", "media", "media_processing_summary", "async_task_batches")

#: The table ``jobs`` of the media job queue, column by column.
JOB_COLUMNS = """
id type status params progress log priority queue_position waiting_reason resource_category vram_required
created_at started_at completed_at retry_count max_retries retry_after
"""

LOG_OF = "SELECT log FROM jobs WHERE id = 'JOB_ID';"


@pytest.fixture
async def reporter(fresh_dsn: str, db_writer: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A role that may read the views and nothing else, made as the guide says."""
    name = f"reporter_{new_job_id().replace('-', '')}"
    await db_writer.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    await db_writer.execute(f"GRANT SELECT ON {', '.join(VIEWS)} TO {name}")
    url = make_url(fresh_dsn).set(username=name, password="secret")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False), ssl=False)
    yield connection
    await connection.close()
    await db_writer.execute(f"DROP OWNED BY {name}")
    await db_writer.execute(f"DROP ROLE {name}")


async def test_jobs_has_the_documented_columns(reporter: asyncpg.Connection) -> None:
    prepared = await reporter.prepare("SELECT * FROM jobs")
    assert [column.name for column in prepared.get_attributes()] == JOB_COLUMNS.split()


async def test_jobs_can_be_counted_by_status(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection
) -> None:
    states = [
        JobState.PENDING,
        JobState.PENDING,
        JobState.QUEUED,
        JobState.PAUSED,
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
    ]
    await insert_jobs(db_writer, *(JobRow(state=state) for state in states))
    assert await reporter.fetchval("SELECT COUNT(*) FROM jobs WHERE status='pending';") == 2
    counted = await reporter.fetch("SELECT status, count(*) FROM jobs GROUP BY status")
    assert {row[0]: row[1] for row in counted} == {
        "pending": 2,
        "running": 1,
        "paused": 1,
        "completed": 1,
        "failed": 1,
        "cancelled": 1,
    }


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.FAILED])
async def test_log_of_a_job_is_one_text_in_order(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection, state: JobState
) -> None:
    [job_id] = await insert_jobs(db_writer, JobRow(state=state))
    assert await reporter.fetchval(LOG_OF.replace("JOB_ID", job_id)) == ""
    pieces = [(2, 1, "again\n"), (1, 10, "ten\n"), (1, 9, "nine\n"), (1, 1_000_000, "--- mark ---\n")]
    await db_writer.executemany("INSERT INTO job_log VALUES ($1, $2, $3, $4)", [(job_id, *p) for p in pieces])
    log = await reporter.fetchval(LOG_OF.replace("JOB_ID", job_id))
    assert log == "nine\nten\n--- mark ---\nagain\n"


async def test_next_job_and_the_running_ones_are_found_as_the_documented_worker_did(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection
) -> None:
    rows = [
        JobRow(priority=5),
        JobRow(priority=2, params='{"videoId": "v"}'),
        JobRow(priority=1, state=JobState.COMPLETED),
        JobRow(state=JobState.QUEUED, category=Category.GPU_ENCODE, vram_mib=4000, granted_s=NOW),
        JobRow(state=JobState.QUEUED, category=Category.GPU_AI, vram_mib=8000, started_s=NOW),
    ]
    ids = await insert_jobs(db_writer, *rows)
    following = await reporter.fetchrow(
        "SELECT * FROM jobs WHERE status = 'pending' ORDER BY priority, created_at LIMIT 1"
    )
    assert following is not None
    assert (str(following["id"]), following["params"], following["resource_category"]) == (
        ids[1],
        '{"videoId": "v"}',
        "cpu",
    )
    running = await reporter.fetch("SELECT * FROM jobs WHERE status = 'running'")
    assert {(row["resource_category"], row["vram_required"]) for row in running} == {
        ("gpu_encode", 4000),
        ("gpu_ai", 8000),
    }
    assert {row["started_at"].timestamp() for row in running} == {NOW}


async def test_instants_that_a_job_waits_for_are_told(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection
) -> None:
    [retried, scheduled, paused, due] = await insert_jobs(
        db_writer,
        JobRow(retry_after_s=4e9, retry_count=2),
        JobRow(run_at_s=4e9),
        JobRow(state=JobState.PAUSED),
        JobRow(retry_after_s=NOW - 1e9),
    )
    rows = await reporter.fetch("SELECT id, waiting_reason FROM jobs")
    reasons = {str(row["id"]): row["waiting_reason"] for row in rows}
    assert re.fullmatch(r"Retry 2 of 3 at \d\d:\d\d:\d\d", reasons[retried])
    assert reasons[scheduled].startswith("Scheduled for 2096-10-")
    assert (reasons[paused], reasons[due]) == ("Paused", None)


async def test_media_are_found_by_where_they_stand(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection
) -> None:
    names = ["done", "stale", "broken", "leased", "waiting", "gave_up", "retried", "untouched"]
    items = await scanned(db_writer, *(photo(f"2026/{name}.jpg", identity="aa") for name in names))
    ids: dict[str, ItemId] = dict(zip(names, items, strict=True))
    await derive(db_writer, 1, thumbnail(ids["done"]), thumbnail(ids["stale"], source_identity="bb"))
    broken = BrokenItem(item_id=ids["broken"], source_identity="aa", reason="not a picture")
    await apply_changes(db_writer, new_job_id(), 1, LibraryChanges(broken=(broken,)), NOW)
    batch = JobRow(type="derivatives_generate")
    await insert_jobs(
        db_writer,
        replace(batch, params=_item_ids(ids["leased"], ids["done"]), state=JobState.QUEUED),
        replace(batch, params=_item_ids(ids["waiting"]), id=JobId(new_job_id())),
        replace(
            batch,
            params=_item_ids(ids["gave_up"], ids["retried"]),
            state=JobState.FAILED,
            error="no room",
            id=JobId(new_job_id()),
        ),
        JobRow(type="thumbnail_generate", params=f'{{"videoId": "{ids["retried"]}"}}'),
        JobRow(type="validate", params=f'{{"videoId": "{ids["untouched"]}"}}', state=JobState.FAILED),
    )
    failed = await reporter.fetch("SELECT * FROM media WHERE processing_status = 'failed';")
    assert {(row["filename"], row["processing_error"]) for row in failed} == {
        ("broken.jpg", "not a picture"),
        ("gave_up.jpg", "no room"),
    }
    rows = await reporter.fetch("SELECT filename, processing_status, thumbnail_path FROM media")
    statuses = {row["filename"].removesuffix(".jpg"): row["processing_status"] for row in rows}
    assert statuses == {
        "done": "completed",
        "stale": "pending",
        "broken": "failed",
        "leased": "processing",
        "waiting": "pending",
        "gave_up": "failed",
        "retried": "pending",
        "untouched": "pending",
    }
    assert [row["thumbnail_path"] for row in rows if row["thumbnail_path"]] == ["aa/one.webp"]
    [summary] = await reporter.fetch("SELECT * FROM media_processing_summary;")
    assert dict(summary) == {
        "voyage_slug": "library",
        "total_media": 8,
        "pending_count": 4,
        "processing_count": 1,
        "completed_count": 1,
        "failed_count": 2,
        "missing_count": 0,
        "percent_done": pytest.approx(37.5),
    }
    await db_writer.execute("UPDATE library_item SET collection = 'voyage-7' WHERE path LIKE '%done.jpg'")
    slugs = await reporter.fetch("SELECT voyage_slug, total_media FROM media_processing_summary ORDER BY 1;")
    assert [tuple(row) for row in slugs] == [("library", 7), ("voyage-7", 1)]


async def test_batches_are_found_by_how_far_they_are(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection
) -> None:
    done, failed, scanning, early = await insert_jobs(
        db_writer,
        JobRow(state=JobState.COMPLETED),
        JobRow(state=JobState.COMPLETED),
        JobRow(state=JobState.COMPLETED),
        JobRow(state=JobState.QUEUED),
    )
    await insert_jobs(
        db_writer,
        JobRow(state=JobState.COMPLETED, parent_id=done),
        JobRow(state=JobState.COMPLETED, parent_id=failed),
        JobRow(state=JobState.FAILED, parent_id=failed),
        JobRow(state=JobState.COMPLETED, parent_id=scanning),
        JobRow(parent_id=scanning),
        JobRow(state=JobState.COMPLETED, parent_id=early),
    )
    processing = await reporter.fetch("SELECT * FROM async_task_batches WHERE batch_status = 'processing';")
    assert {(row["batch_id"], row["total_tasks"], row["completed_tasks"]) for row in processing} == {
        (UUID(scanning), 2, 1),
        (UUID(early), 1, 1),
    }
    assert {row["completed_at"] for row in processing} == {None}
    others = await reporter.fetch("SELECT * FROM async_task_batches WHERE completed_at IS NOT NULL")
    assert {(row["batch_id"], row["batch_status"], row["failed_tasks"]) for row in others} == {
        (UUID(done), "completed", 0),
        (UUID(failed), "failed", 1),
    }


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "what", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "INSERT INTO {0} DEFAULT VALUES"]
)
async def test_nothing_can_be_written(
    reporter: asyncpg.Connection, db_writer: asyncpg.Connection, view: str, what: str
) -> None:
    column: str = await db_writer.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", view
    )
    for connection in (reporter, db_writer):
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match=f'view "{view}"'):
            await connection.execute(what.format(view, column))


async def test_documented_update_is_refused(db_writer: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match='cannot update view "jobs"'):
        await db_writer.execute("UPDATE jobs SET status='failed' WHERE status='running';")


async def test_reader_of_the_views_sees_no_table(reporter: asyncpg.Connection) -> None:
    for table in ("job_live", "job_done", "job_log", "library_item", "leader"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reporter.fetch(f"SELECT FROM {table}")


def _item_ids(*ids: str) -> str:
    return f'{{"itemIds": [{", ".join(f"{chr(34)}{one}{chr(34)}" for one in ids)}]}}'
