"""What readers find of jobs, live and done together."""

from dataclasses import dataclass, field

import asyncpg
import pytest
from callsheet_scheduler.domain.job import FINAL, JobId, JobState
from callsheet_scheduler.store.history import HOUR_S, WINDOW, WINDOWS_MAX, AttemptRow, HistoryStore
from callsheet_scheduler.store.job_lists import JobFilter
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import new_job_id
from tests.support.leader import leader

AT = 1_800_000_000.25
HOUR = AT // HOUR_S * HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job to insert."""

    state: JobState = JobState.PENDING
    type: str = "scan"
    category: Category = Category.CPU
    params: str = "{}"
    error: str | None = None
    attempt: int = 0
    worker_id: str | None = None
    id: JobId = field(default_factory=lambda: JobId(new_job_id()))


@pytest.fixture
def store(db_lists: AsyncEngine, db_readers: asyncpg.Pool) -> HistoryStore:
    return HistoryStore(db_lists, db_readers)


async def insert(connection: asyncpg.Connection, *rows: Row) -> list[JobId]:
    for row in rows:
        done = row.state in FINAL
        table, last = ("job_done", "finished_at, result") if done else ("job_live", "retry_after, run_at")
        values = """to_timestamp($4 + 2), '{"n": 1}'""" if done else "NULL, NULL"
        await connection.execute(
            f"""
            INSERT INTO {table} (
                id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
                created_at, params, state, token, attempt, retry_count, lost_count, capacity_count, error,
                worker_id, started_at, {last}
            ) VALUES (
                $1, 1, $2, $3, 5, false, 100, 3, 0, to_timestamp($4), $5, $6, 77, $7, 1, 0, 0, $8, $9,
                to_timestamp($4 + 1), {values}
            )
            """,  # noqa: S608 -- the table's name is one of two
            row.id,
            row.type,
            int(row.category),
            AT,
            row.params,
            int(row.state),
            row.attempt,
            row.error,
            row.worker_id,
        )
    return [row.id for row in rows]


async def count(connection: asyncpg.Connection, *rows: tuple[float | None, JobState, str, int, int]) -> None:
    for hour, state, job_type, jobs, run_ms in rows:
        await connection.execute(
            "INSERT INTO job_counter VALUES (coalesce(to_timestamp($1), '-infinity'), $2, $3, 1, $4, $5)",
            hour,
            int(state),
            job_type,
            jobs,
            run_ms,
        )


async def passing(store: HistoryStore, wanted: JobFilter) -> set[str]:
    rows, token = await store.page(wanted, size=100, after="", skip=0)
    assert token == ""
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    return {row.id for row in rows}


async def test_job_of_history_is_read_with_what_it_reported(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    [job_id] = await insert(
        db_writer, Row(state=JobState.COMPLETED, attempt=1, worker_id="w", params='{"a":1}')
    )
    found = await store.job(job_id)
    assert found is not None
    row, attempts = found
    assert (row.state, row.category, row.params, row.result) == (
        JobState.COMPLETED,
        Category.CPU,
        '{"a":1}',
        '{"n": 1}',
    )
    assert (row.created_at, row.started_at, row.finished_at) == (AT, AT + 1, AT + 2)
    ended = AttemptRow(
        number=1, worker_id="w", started_at=AT + 1, ended_at=AT + 2, outcome="completed", error=None
    )
    assert attempts == [ended]


async def test_unknown_job_is_none(store: HistoryStore) -> None:
    assert await store.job(JobId(new_job_id())) is None
    assert await store.jobs([]) == []


async def test_attempts_are_those_that_ended_and_the_present_one(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    [job_id] = await insert(db_writer, Row(state=JobState.QUEUED, attempt=2, worker_id="w2", error="fell"))
    await db_writer.execute(
        "INSERT INTO job_attempt VALUES ($1, 1, 5, 'w1', NULL, to_timestamp($2), 'failed', 'fell')",
        job_id,
        AT,
    )
    found = await store.job(job_id)
    assert found is not None
    assert [(attempt.number, attempt.worker_id, attempt.outcome, attempt.error) for attempt in found[1]] == [
        (1, "w1", "failed", "fell"),
        (2, "w2", "", None),
    ]


async def test_attempt_that_went_back_to_waiting_is_not_told_twice(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    [job_id] = await insert(db_writer, Row(state=JobState.PENDING, attempt=1, worker_id="w1"))
    await db_writer.execute(
        "INSERT INTO job_attempt VALUES ($1, 1, 5, 'w1', NULL, to_timestamp($2), 'expired', NULL)", job_id, AT
    )
    found = await store.job(job_id)
    assert found is not None
    assert [attempt.outcome for attempt in found[1]] == ["expired"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (JobFilter(), "pending leased paused completed failed cancelled"),
        (JobFilter(states=frozenset({JobState.PENDING, JobState.FAILED})), "pending failed"),
        (JobFilter(states=frozenset({JobState.RUNNING})), "leased"),
        (JobFilter(states=frozenset({JobState.RUNNING}), leased_ids=frozenset()), ""),
        (JobFilter(states=frozenset({JobState.QUEUED, JobState.PAUSED}), leased_ids=frozenset()), "paused"),
        (JobFilter(states=frozenset({JobState.QUEUED, JobState.COMPLETED})), "leased completed"),
        (JobFilter(types=frozenset({"validate", "nothing"})), "failed cancelled"),
        (JobFilter(categories=frozenset({Category.GPU_AI})), "paused"),
        (JobFilter(query="ÜBUNG_1"), "completed"),
        (JobFilter(query="no SPACE"), "failed"),
        (JobFilter(query="VALID"), "failed cancelled"),
        (JobFilter(query="%"), ""),
        (JobFilter(query="a", types=frozenset({"validate"}), states=FINAL), "failed cancelled"),
    ],
)
async def test_filters_pass_what_they_say(
    db_writer: asyncpg.Connection, store: HistoryStore, wanted: JobFilter, names: str
) -> None:
    rows = {
        "pending": Row(),
        "leased": Row(state=JobState.QUEUED),
        "paused": Row(state=JobState.PAUSED, category=Category.GPU_AI),
        "completed": Row(state=JobState.COMPLETED, params='{"path": "übung_1"}'),
        "failed": Row(state=JobState.FAILED, type="validate", error="No space left"),
        "cancelled": Row(state=JobState.CANCELLED, type="validate"),
    }
    await insert(db_writer, *rows.values())
    assert await passing(store, wanted) == {rows[name].id for name in names.split()}


async def test_leased_jobs_can_be_told_apart_by_what_the_leader_knows(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    _, running, waiting = await insert(
        db_writer, Row(state=JobState.QUEUED), Row(state=JobState.QUEUED), Row(state=JobState.PENDING)
    )
    wanted = JobFilter(
        states=frozenset({JobState.RUNNING, JobState.PENDING}), leased_ids=frozenset({running, waiting})
    )
    assert await passing(store, wanted) == {running, waiting}


async def test_id_is_found_by_a_part_of_it(db_writer: asyncpg.Connection, store: HistoryStore) -> None:
    ids = await insert(db_writer, Row(), Row(state=JobState.FAILED))
    assert await passing(store, JobFilter(query=ids[1][-12:].upper())) == {ids[1]}


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_follow_one_another_without_gap_or_repetition(
    db_writer: asyncpg.Connection, store: HistoryStore, *, oldest_first: bool
) -> None:
    states = [JobState.PENDING, JobState.COMPLETED, JobState.FAILED]
    made = await insert(db_writer, *(Row(state=states[n % 3]) for n in range(11)))
    wanted, ids = JobFilter(oldest_first=oldest_first), made if oldest_first else made[::-1]
    seen: list[str] = []
    token = ""
    for _ in range(3):
        rows, token = await store.page(wanted, size=4, after=token, skip=0)
        seen += [row.id for row in rows]
    assert token == ""
    assert seen == ids
    skipped, _ = await store.page(wanted, size=3, after="", skip=5)
    assert [row.id for row in skipped] == ids[5:8]


async def test_page_token_of_one_order_is_refused_in_the_other(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    await insert(db_writer, *(Row() for _ in range(3)))
    for one, other in ((False, True), (True, False)):
        _, token = await store.page(JobFilter(oldest_first=one), size=1, after="", skip=0)
        with pytest.raises(InvalidError) as caught:
            await store.page(JobFilter(oldest_first=other), size=1, after=token, skip=0)
        assert caught.value.field == "page_token"


async def test_page_of_jobs_with_much_text_is_cut_to_fit_a_message(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    params = '{"t": "' + "x" * 1_000_000 + '"}'
    ids = await insert(db_writer, *(Row(params=params) for _ in range(5)))
    first, token = await store.page(JobFilter(), size=100, after="", skip=0)
    rest, end = await store.page(JobFilter(), size=100, after=token, skip=0)
    assert [len(first), len(rest), end] == [3, 2, ""]
    assert [row.id for row in first + rest] == ids[::-1]


@pytest.mark.parametrize("token", ["x", "é", "WzFd", "WyJ4Il0", "[" * 30_000, "W1tbW1tb" * 2000])
async def test_foreign_page_token_is_refused(store: HistoryStore, token: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await store.page(JobFilter(), size=4, after=token, skip=0)
    assert caught.value.field == "page_token"


async def test_total_comes_from_counters_and_memory_unless_text_is_searched(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    await insert(db_writer, Row(state=JobState.FAILED, error="xyz"), Row(params='{"a": "xyz"}'), Row())
    await count(
        db_writer, (None, JobState.COMPLETED, "scan", 50_000, 0), (None, JobState.FAILED, "scan", 7, 0)
    )
    await count(
        db_writer, (None, JobState.FAILED, "validate", 2, 0), (HOUR, JobState.FAILED, "validate", 2, 0)
    )
    live = {(JobState.RUNNING, "scan", Category.CPU): 3, (JobState.PENDING, "validate", Category.GPU_AI): 4}
    assert await store.total(JobFilter(), live=live) == (50_016, True)
    assert await store.total(JobFilter(states=frozenset({JobState.RUNNING})), live=live) == (3, True)
    failed = JobFilter(states=frozenset({JobState.FAILED, JobState.PENDING}), types=frozenset({"validate"}))
    assert await store.total(failed, live=live) == (6, True)
    assert await store.total(JobFilter(categories=frozenset({Category.GPU_AI})), live=live) == (4, True)
    assert await store.total(JobFilter(query="XYZ"), live=live) == (2, True)


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
async def test_free_text_is_looked_for_in_windows_and_the_token_goes_on_behind_the_last(
    db_writer: asyncpg.Connection, store: HistoryStore, monkeypatch: pytest.MonkeyPatch, *, oldest_first: bool
) -> None:
    monkeypatch.setattr("callsheet_scheduler.store.history.WINDOW", 3)
    monkeypatch.setattr("callsheet_scheduler.store.history.WINDOWS_MAX", 2)
    states = (JobState.PENDING, JobState.COMPLETED)
    rows = [
        Row(state=states[number % 2], params='{"a": "xyz"}' if number in {0, 1, 2, 9} else "{}")
        for number in range(12)
    ]
    ids = await insert(db_writer, *rows)
    named = [ids[number] for number in (0, 1, 2, 9)]
    wanted = JobFilter(query="XYZ", oldest_first=oldest_first)
    found: list[list[str]] = []
    token = ""
    while token or not found:
        page, token = await store.page(wanted, size=2, after=token, skip=0)
        found.append([row.id for row in page])
    newest_first = [[named[3]], named[2:0:-1], [named[0]]]
    assert found == ([named[:2], [named[2]], [named[3]]] if oldest_first else newest_first)
    passed_over, _ = await store.page(wanted, size=2, after="", skip=1)
    assert [row.id for row in passed_over] == ([named[1], named[2]] if oldest_first else [])
    assert await store.total(wanted, live={}) == ((3, False) if oldest_first else (1, False))


async def test_last_page_by_number_has_counted_all_that_free_text_finds(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callsheet_scheduler.store.history.WINDOW", 3)
    async with leader(fresh_dsn) as queue:
        for _ in range(5):
            await queue.submit()
        wanted = JobFilter(query="PUBLIC")
        told = {
            (size, skip): await queue.views.page(wanted, size=size, after="", skip=skip)
            for size, skip in ((10, 0), (2, 0), (2, 4), (2, 6))
        }
        assert {at: (len(page.jobs), page.total, page.total_is_exact) for at, page in told.items()} == {
            (10, 0): (5, 5, True),
            (2, 0): (2, 3, False),
            (2, 4): (1, 5, True),
            (2, 6): (0, 3, False),
        }
        nothing = await queue.views.page(JobFilter(query="nowhere"), size=2, after="", skip=0)
        assert (nothing.total, nothing.total_is_exact) == (0, True)


def test_as_much_is_looked_at_for_a_page_as_the_interface_says() -> None:
    assert WINDOW * WINDOWS_MAX == 200_000


async def test_log_comes_in_order_of_attempt_and_sequence_with_marks_last(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    job_id = JobId(new_job_id())
    pieces = [(attempt, sequence) for attempt in (1, 2) for sequence in [*range(1, 61), 1_000_000]]
    await db_writer.executemany(
        "INSERT INTO job_log VALUES ($1, $2, $3, $4)",
        [(job_id, attempt, sequence, f"{attempt}/{sequence}\n") for attempt, sequence in reversed(pieces)],
    )
    first = await store.log_pieces(job_id, (0, 0))
    rest = await store.log_pieces(job_id, first[-1][:2])
    assert [piece[:2] for piece in first + rest] == pieces
    assert first[60] == (1, 1_000_000, "1/1000000\n")
    assert await store.log_pieces(job_id, rest[-1][:2]) == []


async def test_rates_take_the_share_of_the_hour_that_a_span_begins_in(
    db_writer: asyncpg.Connection, store: HistoryStore
) -> None:
    day = 24 * HOUR_S
    await count(
        db_writer,
        (None, JobState.COMPLETED, "scan", 1000, 9),
        (HOUR, JobState.COMPLETED, "scan", 10, 20_000),
        (HOUR - HOUR_S, JobState.COMPLETED, "scan", 40, 40_000),
        (HOUR - day, JobState.COMPLETED, "scan", 100, 1_000_000),
        (HOUR - day - HOUR_S, JobState.COMPLETED, "scan", 999, 999_000),
        (HOUR, JobState.PENDING, "scan", 5, 0),
        (HOUR - day, JobState.PENDING, "scan", 8, 0),
        (HOUR - day, JobState.PENDING, "validate", 4, 0),
    )
    now = HOUR + HOUR_S / 4
    counters = await store.counters(since=now - day, now=now)
    assert counters.finished == {(JobState.COMPLETED, 1): 1000}
    assert counters.completed_last_hour == 40
    assert counters.created_by_type == {"scan": 11, "validate": 3}
    assert counters.mean_run_s == pytest.approx((20 + 40 + 750) / (10 + 40 + 75))


async def test_counters_of_an_empty_queue_are_nought(store: HistoryStore) -> None:
    counters = await store.counters(since=AT - 24 * HOUR_S, now=AT)
    assert (counters.finished, counters.mean_run_s, counters.completed_last_hour) == ({}, 0.0, 0)
