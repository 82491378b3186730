"""History lies in days: they are there in time, and go when nobody needs them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from callsheet_scheduler.domain.effects import Output
from callsheet_scheduler.domain.job import JobState, Token
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.maintenance.partitions import Partitions
from callsheet_scheduler.metrics import HISTORY_FAILURES
from callsheet_scheduler.store import leader as keys
from callsheet_scheduler.store.partitions import Place, first_id_of, ids_of, make_partitions, read_tables
from callsheet_scheduler.use_cases.views import Stats

from callsheet.errors import InvalidError, NotFoundError, UnavailableError
from tests.support.days import days, pass_days
from tests.support.leader import DAY, Leader, id_at, leader
from tests.support.patience import PATIENCE_S

HISTORY_DAYS = 5


@pytest.fixture
async def queue(fresh_dsn: str) -> AsyncIterator[Leader]:
    async with leader(fresh_dsn) as queue:
        yield queue


@pytest.fixture
def keeper(queue: Leader, fresh_dsn: str) -> Partitions:
    return Partitions(queue.leadership, fresh_dsn, history_days=HISTORY_DAYS)


async def finished(queue: Leader) -> dict[JobState, int]:
    stats: Stats = await queue.views.stats()
    return {state: jobs for (state, _), jobs in stats.states.items() if jobs}


def test_ids_of_a_day_begin_and_end_at_midnight_utc() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    low, high = ids_of(midnight.date())
    instant = timedelta(milliseconds=1)
    assert low == first_id_of(midnight)
    assert id_at(midnight - instant) < low <= id_at(midnight)
    assert id_at(midnight + DAY - instant) < high <= id_at(midnight + DAY)


async def test_days_are_made_once_and_without_stopping_readers_or_writers(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    today: datetime = await db_writer.fetchval("SELECT now()")
    now = today + 30 * DAY
    reader = await asyncpg.connect(fresh_dsn, ssl=False)
    async with reader.transaction(), db_writer.transaction():
        await reader.fetch("SELECT FROM job_done")
        await reader.execute("INSERT INTO job_log VALUES ($1, 1, 1, 'text')", id_at(today))
        other = await asyncpg.connect(fresh_dsn, ssl=False, server_settings={"lock_timeout": "1s"})
        assert await make_partitions(other, now=now) == 30
        assert await make_partitions(other, now=now) == 0
        await other.close()
    await reader.close()
    tables = await read_tables(db_writer)
    assert {table.place for table in tables} == {Place.ATTACHED}
    assert max(table.day for table in tables) == (now + 7 * DAY).date()


async def test_new_day_has_the_indexes_of_the_whole_table(db_writer: asyncpg.Connection) -> None:
    today: datetime = await db_writer.fetchval("SELECT now()")
    indexes = await db_writer.fetch(
        "SELECT count(*) FROM pg_index WHERE indrelid IN ('job_done'::regclass, $1::text::regclass)"
        " GROUP BY indrelid",
        f"job_done_{today:%Y%m%d}",
    )
    attached: int = await db_writer.fetchval(
        "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE indrelid = $1::text::regclass",
        f"job_done_{today:%Y%m%d}",
    )
    assert [row[0] for row in indexes] == [attached, attached]
    assert attached >= 3


async def test_columns_of_a_day_lose_no_byte_to_alignment(db_writer: asyncpg.Connection) -> None:
    lengths = await db_writer.fetch(
        "SELECT t.typlen FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE attnum > 0 AND"
        " attrelid = (SELECT max(inhrelid) FROM pg_inherits WHERE inhparent = 'job_done'::regclass)"
        " ORDER BY attnum"
    )
    found: list[int] = [max(length, 0) for (length,) in lengths]
    assert found == sorted(found, reverse=True)
    assert len(found) > 25


async def test_scheduler_that_leads_for_weeks_finishes_the_jobs_of_every_day(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    for _ in range(20):
        await pass_days(queue, keeper, 1)
        ids = await queue.submit()
        await queue.finish(*ids)
        assert max(await days(db_writer)) == (queue.now() + 7 * DAY).date()
    assert queue.term.number == 1
    assert (await finished(queue))[JobState.COMPLETED] == HISTORY_DAYS + 1


async def test_ids_of_yesterday_and_of_the_next_minutes_find_their_day(queue: Leader) -> None:
    """Midnight is somewhere between the two ends of what is accepted."""
    now = queue.now()
    ids = [id_at(now - DAY + timedelta(minutes=1)), id_at(now), id_at(now + timedelta(seconds=290))]
    assert await queue.submit(ids=ids) == ids
    await queue.finish(*ids)
    assert await finished(queue) == {JobState.COMPLETED: 3}


async def test_jobs_on_both_sides_of_midnight_lie_in_their_own_days(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    midnight = (queue.now() + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    queue.clock.ahead = midnight - queue.now() + timedelta(seconds=30)
    await keeper.round(queue.term)
    ids = [id_at(midnight - timedelta(milliseconds=1)), id_at(midnight)]
    await queue.submit(ids=ids)
    await queue.finish(*ids)
    places = await db_writer.fetch("SELECT tableoid::regclass::text FROM job_done ORDER BY id")
    assert [row[0] for row in places] == [f"job_done_{midnight - DAY:%Y%m%d}", f"job_done_{midnight:%Y%m%d}"]


@pytest.mark.parametrize("off", [-DAY - timedelta(minutes=1), timedelta(minutes=6)])
async def test_ids_too_far_from_the_database_clock_are_refused(queue: Leader, off: timedelta) -> None:
    with pytest.raises(InvalidError, match="24 hours"):
        await queue.submit(ids=[id_at(queue.now() + off)])


async def test_day_goes_when_its_last_job_is_past_retention_and_the_counters_follow(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    first = await queue.submit()
    failed = await queue.submit()
    await queue.finish(*first)
    await queue.finish(*failed, ending=Ending.BAD_INPUT)
    await db_writer.execute("INSERT INTO job_log VALUES ($1, 1, 7, 'text')", first[0])
    day = queue.now().date()
    await pass_days(queue, keeper, 1)
    kept = await queue.submit()
    await queue.finish(*kept)
    await pass_days(queue, keeper, HISTORY_DAYS - 1)
    assert day in await days(db_writer)
    assert await finished(queue) == {JobState.COMPLETED: 2, JobState.FAILED: 1}
    await pass_days(queue, keeper, 1)
    for table in ("job_done", "job_attempt", "job_log"):
        assert day not in await days(db_writer, table)
    assert await finished(queue) == {JobState.COMPLETED: 1}
    sums = await db_writer.fetch(
        "SELECT state, jobs FROM job_counter WHERE hour = '-infinity' AND jobs <> 0 ORDER BY state"
    )
    assert [tuple(row) for row in sums] == [(JobState.PENDING, 1), (JobState.COMPLETED, 1)]
    with pytest.raises(NotFoundError):
        await queue.views.job(first[0])


async def test_day_of_a_live_job_stays_with_all_its_history(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    done = await queue.submit()
    await queue.finish(*done)
    late = await queue.submit(run_at=queue.now() + 12 * DAY)
    day = queue.now().date()
    await pass_days(queue, keeper, 11)
    assert day in await days(db_writer)
    await pass_days(queue, keeper, 2)
    await queue.finish(*late)
    await pass_days(queue, keeper, HISTORY_DAYS - 1)
    assert day in await days(db_writer)
    await pass_days(queue, keeper, 1)
    assert day not in await days(db_writer)


async def test_day_of_a_live_jobs_parent_stays(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    [parent] = await queue.submit()
    await queue.finish(parent)
    day = queue.now().date()
    await pass_days(queue, keeper, 2)
    [child] = await queue.submit(run_at=queue.now() + 30 * DAY)
    queue.term.engine.queue.jobs[child].parent_id = parent
    await pass_days(queue, keeper, HISTORY_DAYS)
    assert day in await days(db_writer)
    queue.term.engine.queue.jobs[child].parent_id = None
    await pass_days(queue, keeper, 1)
    assert day not in await days(db_writer)


async def test_day_of_a_job_whose_output_is_on_its_way_stays(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    [job_id] = await queue.submit()
    await queue.finish(job_id, output="compilations/one.mp4")
    day = queue.now().date()
    await pass_days(queue, keeper, HISTORY_DAYS + 1)
    assert day in await days(db_writer)
    [pending] = await db_writer.fetch("SELECT * FROM output_intent")
    placed = Output(
        job_id=job_id,
        token=Token(pending["token"]),
        root="made",
        path=pending["path"],
        staged_path=pending["staged_path"],
    )
    assert queue.session is not None
    queue.grants.placed(queue.session, placed, "the root is full")
    queue.term.commits.flush()
    await queue.term.commits.quiet()
    await pass_days(queue, keeper, 1)
    assert day not in await days(db_writer)


async def test_job_retried_in_time_keeps_its_day_and_can_end_there(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    [job_id] = await queue.submit()
    await queue.finish(job_id, ending=Ending.BAD_INPUT)
    day = queue.now().date()
    await pass_days(queue, keeper, HISTORY_DAYS)
    await queue.actions.retry(job_id)
    await pass_days(queue, keeper, 2)
    assert day in await days(db_writer)
    await queue.finish(job_id)
    assert await finished(queue) == {JobState.COMPLETED: 1}


async def test_nothing_comes_back_from_a_day_that_is_being_dropped(queue: Leader) -> None:
    [job_id] = await queue.submit()
    await queue.finish(job_id, ending=Ending.BAD_INPUT)
    queue.term.days.closing = ids_of(queue.now().date())
    with pytest.raises(NotFoundError, match="being dropped"):
        await queue.actions.retry(job_id)
    queue.term.days.closing = None
    await queue.actions.retry(job_id)


@pytest.mark.parametrize("left", ["detached", "detaching", "half"])
async def test_round_that_was_broken_off_is_brought_to_its_end(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection, fresh_dsn: str, left: str
) -> None:
    ids = await queue.submit()
    await queue.finish(*ids)
    day = queue.now().date()
    name = f"job_done_{day:%Y%m%d}"
    await keeper.round(queue.term)
    match left:
        case "detached":
            await db_writer.execute(f"ALTER TABLE job_done DETACH PARTITION {name}")
        case "detaching":
            await left_detaching(fresh_dsn, name)
            places = {table.place for table in await read_tables(db_writer) if table.name == name}
            assert places == {Place.DETACHING}
        case _:
            await db_writer.execute(f"DROP TABLE job_log_{day:%Y%m%d}")
    await pass_days(queue, keeper, HISTORY_DAYS + 1)
    assert day not in await days(db_writer)
    assert await db_writer.fetchval("SELECT to_regclass($1) IS NULL", name)
    assert await finished(queue) == {}


async def test_table_of_somebody_else_is_left_alone_whatever_its_name(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    copy, no_day = f"job_done_{queue.now() - 90 * DAY:%Y%m%d}", "job_log_20269999"
    for name in (copy, no_day):
        await db_writer.execute(f"CREATE TABLE {name} AS SELECT 1 AS state, 'scan' AS type, 1 AS category")
    await keeper.round(queue.term)
    for name in (copy, no_day):
        assert await db_writer.fetchval("SELECT to_regclass($1) IS NOT NULL", name)
    assert await finished(queue) == {}


async def left_detaching(dsn: str, name: str) -> None:
    """Break a detachment off while it waits for a reader."""
    reader = await asyncpg.connect(dsn, ssl=False)
    other = await asyncpg.connect(dsn, ssl=False, server_settings={"lock_timeout": "50ms"})
    async with reader.transaction():
        await reader.fetch("SELECT FROM job_done")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute(f"ALTER TABLE job_done DETACH PARTITION {name} CONCURRENTLY")
    await other.close()
    await reader.close()


async def test_failure_deposes_nobody_and_is_made_up_for(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    queue.clock.ahead += 3 * DAY
    async with db_writer.transaction():
        await db_writer.execute("LOCK TABLE job_log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await keeper.round(queue.term)
        ids = await queue.submit()
        await queue.finish(*ids)
    await keeper.round(queue.term)
    assert max(await days(db_writer, "job_log")) == (queue.now() + 7 * DAY).date()
    assert queue.term.number == 1


async def test_jobs_of_a_day_without_tables_are_refused_until_it_has_them(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    queue.clock.ahead += 8 * DAY
    before = await days(db_writer)
    with pytest.raises(UnavailableError, match="no tables"):
        await queue.submit()
    midnight = queue.now().replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = await queue.submit(ids=[id_at(midnight - timedelta(milliseconds=1))])
    await queue.finish(*yesterday)
    assert await days(db_writer) == before
    await keeper.round(queue.term)
    await queue.finish(*await queue.submit())
    assert await finished(queue) == {JobState.COMPLETED: 2}


async def test_leadership_begins_although_no_day_can_be_made(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    today: datetime = await db_writer.fetchval("SELECT now()")
    await db_writer.execute(f"DROP TABLE job_log_{today + DAY:%Y%m%d}")
    blocking = await asyncpg.connect(fresh_dsn, ssl=False)
    await blocking.execute("BEGIN")
    await blocking.execute("LOCK TABLE job_log IN SHARE UPDATE EXCLUSIVE MODE")
    async with leader(fresh_dsn) as queue:
        await queue.finish(*await queue.submit())
        await blocking.execute("COMMIT")
        assert queue.term.days.end == ids_of((today + DAY).date())[0]
    await blocking.close()


async def test_round_of_a_leadership_that_has_ended_changes_nothing(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    term = queue.term
    before = await read_tables(db_writer)
    queue.clock.ahead += 2 * DAY
    await keys.take_over(db_writer, "")
    with pytest.raises(UnavailableError):
        await keeper.round(term)
    assert await read_tables(db_writer) == before


async def test_counters_of_hours_past_retention_are_forgotten(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    ids = await queue.submit(run_at=None)
    await queue.finish(*ids)
    await queue.submit(run_at=queue.now() + 90 * DAY)
    await pass_days(queue, keeper, HISTORY_DAYS + 1)
    assert await db_writer.fetchval("SELECT count(*) FROM job_counter WHERE hour > '-infinity'") == 0
    assert await finished(queue) == {JobState.COMPLETED: 1, JobState.PENDING: 1}


async def test_loop_tells_of_a_failure_and_leaves_the_leader_alone(
    queue: Leader, keeper: Partitions, db_writer: asyncpg.Connection
) -> None:
    queue.clock.ahead += 10 * DAY
    before = HISTORY_FAILURES.collect()
    keeping = asyncio.create_task(keeper.run())
    async with db_writer.transaction():
        await db_writer.execute("LOCK TABLE job_log IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(PATIENCE_S):
            while HISTORY_FAILURES.collect() == before:  # noqa: ASYNC110 -- a metric wakes nobody
                await asyncio.sleep(0.05)
    assert not keeping.done()
    assert queue.term.number == 1
    keeping.cancel()
