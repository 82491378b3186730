"""The inbox: what applications leave inside transactions of their own becomes jobs, each row once."""

import json
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from callsheet_scheduler.domain.job import JobState as State
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.use_cases.inbox import Inbox

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from tests.support.filled_database import whole_scans
from tests.support.inboxes import LEAVE, SCAN, emptied, live
from tests.support.leader import Leader, id_at
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.workers import running_worker


async def test_row_becomes_the_job_whose_id_it_returned_and_runs(
    fresh_dsn: str, app: asyncpg.Connection, tmp_path: Path
) -> None:
    async with (
        real_scheduler(fresh_dsn, tmp_path) as scheduler,
        open_channel(scheduler.address) as channel,
        running_worker(scheduler.port, tmp_path),
    ):
        jobs = Jobs(channel)
        await jobs.known("count")
        job_id = await app.fetchval(
            "INSERT INTO inbox (type, params, priority, collection, unique_key)"
            " VALUES ('count', '{\"countTo\": 2}', 2, 'trip', 'once') RETURNING id::text"
        )
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)
    assert (job.priority, job.collection, job.unique_key) == (2, "trip", "once")
    assert json.loads(job.result_json)["counted"] == 2
    assert await emptied(app)


async def test_row_of_an_open_transaction_is_no_job_and_of_a_rolled_back_one_never(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    opened = app.transaction()
    await opened.start()
    job_id = await app.fetchval(LEAVE)
    await inbox.take()
    assert live(led) == set()
    await opened.commit()
    await inbox.take()
    assert live(led) == {job_id}

    undone = app.transaction()
    await undone.start()
    await app.fetchval(LEAVE)
    await undone.rollback()
    await inbox.take()
    assert live(led) == {job_id}
    assert await app.fetchval("SELECT count(*) FROM job_live") == 1
    assert await emptied(app)


@pytest.mark.parametrize(
    ("columns", "values", "told"),
    [
        ("type", "'no_such_type'", "type: unknown job type"),
        ("type", "repeat('x', 100000)", "type: unknown job type"),
        ("type", "NULL", "type: unknown job type ''"),
        ("type, params", "'public_scan', '{\"directoryType\": 7}'", "params.directoryType: "),
        ("type, params", "'public_scan', '[1]'", "params: "),
        ("type, params", "'public_scan', '{\"directoryType\": 1e9999}'", "params: "),
        ("type, params", "'public_scan', '{\"directoryType\": 1e400}'", "params"),
        ("type, priority", "'public_scan', 11", "priority: must be from 1 to 10"),
        ("type, priority", "'public_scan', 0", "priority: must be from 1 to 10"),
        ("type, priority", "'public_scan', -2147483648", "priority: must be from 1 to 10"),
        ("type, max_retries", "'public_scan', -1", "max_retries: "),
        ("type, vram_mib", "'public_scan', 9223372036854775807", "vram_required: "),
        ("type, collection", "'public_scan', 'No Slug'", "collection: "),
        ("type, collection", "'public_scan', repeat('x', 100000)", "collection: "),
        ("type, unique_key", "'public_scan', 'two words'", "unique_key: "),
        ("type, unique_key", "'public_scan', repeat('x', 100000)", "unique_key: "),
        ("type, run_at", "'public_scan', 'infinity'", "run_at: must be an instant"),
        ("type, run_at", "'public_scan', '-infinity'", "run_at: must be an instant"),
        ("type, run_at", "'public_scan', '20000-01-01'", "run_at: must be an instant"),
        ("type, run_at", "'public_scan', '4000-01-01 BC'", "run_at: must be an instant"),
        ("type, depends_on", "'public_scan', ARRAY[NULL]::uuid[]", "depends_on[0]: "),
        ("type, depends_on", "'public_scan', ARRAY[[gen_random_uuid()], [NULL]]::uuid[]", "depends_on"),
        ("type, depends_on", "'public_scan', ARRAY[gen_random_uuid()]", "depends_on: there is no job"),
        ("type, depends_on", "'public_scan', array_fill(gen_random_uuid(), ARRAY[5000])", "depends_on: "),
        ("type, id", "'public_scan', gen_random_uuid()", "id: must be a UUIDv7"),
        ("type, id", "'public_scan', 'ffffffff-ffff-7fff-bfff-ffffffffffff'", "id: must be a UUIDv7"),
        (
            "type, params",
            "'public_scan', jsonb_build_object('x', repeat('x', 70000))",
            "params: have more than",
        ),
    ],
)
async def test_row_that_is_no_job_becomes_a_failed_one_that_names_the_field(
    led: Leader, inbox: Inbox, app: asyncpg.Connection, columns: str, values: str, told: str
) -> None:
    if "params" not in columns:
        columns, values = f"{columns}, params", f"{values}, '{SCAN}'"
    row = await app.fetchrow(
        f"INSERT INTO inbox ({columns}) VALUES ({values}) RETURNING id::text, now()"  # noqa: S608 -- the cases
    )
    good = await app.fetchval(LEAVE)

    assert not await inbox.take()

    assert live(led) == {good}
    assert await emptied(app)
    failed = await app.fetchrow("SELECT id::text, state, error FROM job_done")
    assert failed is not None
    assert row is not None
    assert failed["state"] == State.FAILED
    assert failed["error"].startswith(f"The inbox had no acceptable job: {told}")
    assert (failed["id"] == row["id"]) == ("id" not in columns.split(", "))
    counted = await app.fetch("SELECT state, jobs FROM job_counter WHERE hour = '-infinity' ORDER BY state")
    assert [tuple(row) for row in counted] == [(State.PENDING, 1), (State.FAILED, 1)]
    assert (await led.views.job(failed["id"])).state is State.FAILED


async def test_row_may_leave_everything_to_the_scheduler_and_say_the_same_by_nulls(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    await app.execute(
        "INSERT INTO inbox (type, params, id, priority, interactive, vram_mib, max_retries, run_at,"
        " depends_on, unique_key, collection)"
        " VALUES ('public_scan', $1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        SCAN,
    )
    await app.execute(LEAVE)
    await inbox.take()
    first, second = (
        (job.priority, job.interactive, job.vram_mib, job.max_retries, job.run_at, job.ties, job.collection)
        for job in led.term.engine.queue.jobs.values()
    )
    assert first == second == (5, False, 0, 3, None, None, None)


async def test_row_may_need_an_earlier_one_of_its_transaction(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    chain = [
        await app.fetchval(
            "INSERT INTO inbox (type, params, collection) VALUES ('public_scan', $1, 'new')"
            " RETURNING id::text",
            SCAN,
        )
    ]
    for _ in range(3):
        chain.append(
            await app.fetchval(
                "INSERT INTO inbox (type, params, depends_on) VALUES ('public_scan', $1, ARRAY[$2]::uuid[])"
                " RETURNING id::text", SCAN, chain[-1]
            )
        )  # fmt: skip
    await inbox.take()
    assert await emptied(app)
    jobs = led.term.engine.queue.jobs
    assert [jobs[job_id].needs_others for job_id in chain] == [False, True, True, True]


async def test_id_that_is_known_makes_no_second_job(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    (waits,), (ends,) = await led.submit(), await led.submit()
    await led.granted(waits, ends)
    await led.finish(ends)
    led.leave()
    add = "INSERT INTO inbox (id, type, params) VALUES ($1, 'public_scan', $2)"
    for job_id in (waits, ends):
        await app.execute(add, job_id, SCAN)
    await inbox.take()
    assert await emptied(app)
    assert live(led) == {waits}
    assert await app.fetchval("SELECT count(*) FROM job_done") == 1

    other = '{"directoryType": "b"}'
    for job_id in (waits, waits, ends):
        await app.execute(add, job_id, other)
    await inbox.take()
    assert await emptied(app)
    assert live(led) == {waits}
    failed = await app.fetch(
        "SELECT id::text, params::text, error FROM job_done WHERE state = $1", State.FAILED
    )
    assert [json.loads(row["params"]) for row in failed] == [json.loads(other)] * 3
    assert all("belongs to another job" in row["error"] for row in failed)
    assert not {row["id"] for row in failed} & {waits, ends}


async def test_row_that_waited_for_days_becomes_a_job_unless_its_id_has_become_one(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    (waits,) = await led.submit()
    led.clock.ahead += timedelta(hours=30)
    add = "INSERT INTO inbox (id, type, params) VALUES ($1, 'public_scan', $2)"
    late = id_at(led.now() - timedelta(hours=26))
    await app.execute(add, waits, SCAN)
    await app.execute(add, late, SCAN)
    await inbox.take()
    assert await emptied(app)
    assert waits in live(led)
    assert late not in live(led)
    assert len(live(led)) == 2
    assert await app.fetchval("SELECT count(*) FROM job_done") == 0


async def test_rows_of_one_unique_key_make_one_job(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    for _ in range(3):
        await app.execute(
            "INSERT INTO inbox (type, params, unique_key) VALUES ('public_scan', $1, 'k')", SCAN
        )
    await inbox.take()
    assert len(live(led)) == 1
    assert await emptied(app)


async def test_ids_of_the_inbox_are_uuids_of_version_7_and_of_now(app: asyncpg.Connection) -> None:
    ids = await app.fetch("SELECT callsheet_job_id()::text AS id FROM generate_series(1, 500)")
    now_ms = 1000 * await app.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    texts = [row["id"] for row in ids]
    assert len(set(texts)) == 500
    assert {text[14] for text in texts} == {"7"}
    assert {text[19] for text in texts} <= set("89ab")
    assert all(abs(int(text[:8] + text[9:13], 16) - now_ms) < 60_000 for text in texts)


async def test_inbox_is_read_in_its_order_by_index(app: asyncpg.Connection) -> None:
    await app.execute("INSERT INTO inbox (type) SELECT 'x' FROM generate_series(1, 20000)")
    await app.execute("ANALYZE inbox")
    found = await app.fetch(f"EXPLAIN {statement('read_inbox')}", 200, 65536)
    text = "\n".join(row[0] for row in found)
    assert whole_scans(text) == []
    assert "Sort" not in text
