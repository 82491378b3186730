"""The inbox under takeover, floods, other transactions and other roles: each row becomes one job."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from callsheet_scheduler.domain.effects import Taken
from callsheet_scheduler.domain.job import JobState as State
from callsheet_scheduler.maintenance.looking import look_while_leading
from callsheet_scheduler.use_cases.inbox import Inbox
from callsheet_scheduler.use_cases.jobs import Submission

from callsheet.errors import OverloadedError
from tests.support.inboxes import LEAVE, SCAN, emptied, left, live, until
from tests.support.leader import Leader, id_at
from tests.support.patience import PATIENCE_S
from tests.support.replicas import leader_of, replicas_on


async def test_row_that_is_withdrawn_while_it_is_taken_becomes_no_job(
    led: Leader, app: asyncpg.Connection
) -> None:
    kept, gone = await app.fetchval(LEAVE), await app.fetchval(LEAVE)
    numbers = {row["id"]: row["number"] for row in await app.fetch("SELECT id::text, number FROM inbox")}
    async with app.transaction():
        await app.execute("DELETE FROM inbox WHERE id = $1", gone)
        made = await asyncio.gather(
            *(
                led.jobs.submit([Submission(id=job_id, type="public_scan", params=SCAN)], taken=Taken(number))
                for job_id, number in numbers.items()
            ),
            return_exceptions=True,
        )
    assert isinstance(made[1], OverloadedError)
    assert "withdrawn" in str(made[1])
    assert live(led) == {kept}
    assert await emptied(app)


async def test_row_that_somebody_is_changing_keeps_no_other_from_being_taken(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    changed = await app.fetchval(LEAVE)
    async with app.transaction():
        await app.execute("UPDATE inbox SET priority = 2 WHERE id = $1", changed)
        other = await app.fetchval(LEAVE)
    async with app.transaction():
        await app.execute("UPDATE inbox SET priority = 1 WHERE id = $1", changed)
        await inbox.take()
        assert live(led) == {other}
    await inbox.take()
    assert led.term.engine.queue.jobs[changed].priority == 1


async def test_rows_stay_while_the_queue_is_full(led: Leader, inbox: Inbox, app: asyncpg.Connection) -> None:
    rules = led.term.engine.rules
    await app.fetchval(LEAVE)
    object.__setattr__(rules, "live_jobs_max", 0)
    assert not await inbox.take()
    assert await left(app) == 1
    object.__setattr__(rules, "live_jobs_max", 10)
    await inbox.take()
    assert await emptied(app)
    assert len(live(led)) == 1


async def test_flood_of_rows_keeps_no_submission_waiting(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    await app.execute(
        "INSERT INTO inbox (type, params) SELECT 'public_scan', $1 FROM generate_series(1, 5000)", SCAN
    )
    taking = asyncio.create_task(look_while_leading(led.leadership, "the inbox waits", inbox.take))
    try:
        await until(lambda: _began(app))
        await led.submit()
        assert await left(app) > 0
        await until(lambda: emptied(app))
        assert len(live(led)) == 5001
    finally:
        taking.cancel()
        with suppress(asyncio.CancelledError):
            await taking


async def _began(app: asyncpg.Connection) -> bool:
    return await left(app) < 5000


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_takeover_while_rows_are_read_doubles_nothing_and_loses_nothing(
    fresh_dsn: str, app: asyncpg.Connection, tmp_path: Path, how: signal.Signals
) -> None:
    total = 12_000
    async with replicas_on(fresh_dsn, tmp_path, leader_ttl_s="2") as replicas:
        first, _ = await leader_of(replicas)
        rows = await app.fetch(
            "INSERT INTO inbox (type, params) SELECT CASE WHEN n % 100 = 0 THEN 'no_such_type' ELSE"
            " 'public_scan' END, $1 FROM generate_series(1, $2::int) AS n RETURNING id::text, type",
            SCAN,
            total,
        )
        async with asyncio.timeout(PATIENCE_S):
            while await left(app) == total:  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0)
        first.process.signal(how)
        assert await left(app) > 0
        await until(lambda: emptied(app))
        if how is signal.SIGSTOP:
            first.process.signal(signal.SIGCONT)
        good = sorted(row["id"] for row in rows if row["type"] == "public_scan")
        wrong = sorted(row["id"] for row in rows if row["type"] != "public_scan")
        assert [row[0] for row in await app.fetch("SELECT id::text FROM job_live ORDER BY id")] == good
        assert [row[0] for row in await app.fetch("SELECT id::text FROM job_done ORDER BY id")] == wrong
        counted = "SELECT jobs FROM job_counter WHERE hour = '-infinity' AND state = $1"
        assert await app.fetchval(counted, State.FAILED) == len(wrong)


async def test_role_that_may_only_insert_can_leave_jobs(
    led: Leader, inbox: Inbox, app: asyncpg.Connection
) -> None:
    role = f"leaver_{led.term.number}_{id_at(led.now())[:8]}"
    await app.execute(f"CREATE ROLE {role}")
    try:
        await app.execute(f"GRANT INSERT ON inbox TO {role}")
        await app.execute(f"SET ROLE {role}")
        chosen = await app.fetchval("SELECT callsheet_job_id()::text")
        await app.execute("INSERT INTO inbox (id, type, params) VALUES ($1, 'public_scan', $2)", chosen, SCAN)
        for forbidden in (LEAVE, "SELECT params FROM inbox", "DELETE FROM inbox", "SELECT id FROM job_live"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(forbidden)
        await app.execute("RESET ROLE")
        await app.execute(f"GRANT SELECT (id) ON inbox TO {role}")
        await app.execute(f"SET ROLE {role}")
        returned = await app.fetchval(LEAVE)
    finally:
        await app.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    await inbox.take()
    assert live(led) == {chosen, returned}
