"""Reads jobs, waiting, running and finished ones together. Instants are seconds since 1970."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet_scheduler.domain.job import FINAL, LEASED, JobId, JobState
from callsheet_scheduler.store.paging import decode_place, encode_place, fitting
from callsheet_scheduler.store.patterns import any_case
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.store.tables import JOB_DONE, JOB_LIVE

#: How far jobs are counted where no counter knows them.
COUNT_MAX: Final = 10_000

HOUR_S: Final = 3600.0

LogPiece = tuple[int, int, str]
"""Attempt, sequence, text."""

LiveCounts = Mapping[tuple[JobState, str, Category], int]
"""How many jobs are not final, by state, type and category."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as its row says; QUEUED stands for every leased job."""

    id: str
    type: str
    params: str
    state: JobState
    category: Category
    priority: int
    interactive: bool
    vram_mib: int
    max_retries: int
    created_at: float
    run_at: float | None
    token: int
    attempt: int
    retry_count: int
    worker_id: str | None
    started_at: float | None
    finished_at: float | None
    retry_after: float | None
    cancel_requested_at: float | None
    error: str | None
    result: str | None
    parent_id: str | None
    pause_requested_at: float | None = None
    stop_rung: int | None = None
    device: str | None = None
    """Of the present or last attempt, ``software`` for none in a GPU job; None for a CPU job."""
    peak_vram_mib: int | None = None
    needs: Sequence[str] | None = None
    if_needed_fails: int | None = None
    unique_key: str | None = None
    children: int = 0
    """How many jobs it has yielded to."""
    collection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One run of a job."""

    number: int
    worker_id: str | None
    started_at: float | None
    ended_at: float | None
    outcome: str
    """Empty while it runs."""
    error: str | None
    device: str | None = None
    """As in ``JobRow``."""
    vram_mib: int | None = None
    peak_vram_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs, and from which end. All that is given must hold; what is empty always does."""

    states: frozenset[JobState] = frozenset()
    types: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    query: str = ""
    """A part of the id, type, parameters or error, in any case."""
    parent_id: JobId | None = None
    """Only jobs that this one caused."""
    collection: str = ""
    leased_ids: frozenset[JobId] | None = None
    """Of the leased jobs only these; None for all of them."""
    oldest_first: bool = False
    """The one order beside newest first that every index of these lists serves."""

    @property
    def place(self) -> tuple[str, ...]:
        """What a page's token says beside the last id."""
        return ("oldest first",) if self.oldest_first else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the counters say."""

    finished: dict[tuple[JobState, int], int]
    """By state and category."""
    mean_run_s: float
    created_by_type: dict[str, int]
    completed_last_hour: int


class HistoryStore:
    """Reads jobs."""

    def __init__(self, lists: AsyncEngine, readers: asyncpg.Pool) -> None:
        self._lists = lists
        self._readers = readers

    async def job(self, job_id: JobId) -> tuple[JobRow, list[AttemptRow]] | None:
        """Return a job and its attempts, oldest first; None where there is no such job."""
        rows = await self.jobs([job_id])
        if not rows:
            return None
        ended = await self._fetch(statement("read_attempts"), job_id)
        attempts = [AttemptRow(**dict(row)) for row in ended]
        last = _last_attempt(rows[0])
        if last is not None and all(attempt.number != last.number for attempt in attempts):
            attempts.append(last)
        return rows[0], attempts

    async def jobs(self, ids: Sequence[JobId]) -> list[JobRow]:
        """Return those of *ids* that exist, newest first."""
        if not ids:
            return []
        rows = [_row(row) for row in await self._fetch(statement("read_jobs"), ids, min(ids), max(ids))]
        return sorted(rows, key=lambda row: row.id, reverse=True)

    async def children(self, job_id: JobId, *, first: int, limit: int) -> list[JobId] | None:
        """Return some of the jobs that a job has yielded to; None where there is no such job."""
        rows = await self._fetch(statement("read_children"), job_id, first, limit)
        return [JobId(child) for child in rows[0]["ids"]] if rows else None

    async def page(self, wanted: JobFilter, *, size: int, after: str, skip: int) -> tuple[list[JobRow], str]:
        """Return a page and the token of the next; an empty token on the last page.

        Jobs with much text make it shorter than *size*.

        Raises:
            InvalidError: *after* is no token of ours.
        """
        query = page_statement(wanted, last=_last_id(wanted, after), skip=skip, limit=size + 1)
        with repeatable():
            async with self._lists.connect() as connection:
                ids = [JobId(row[0]) for row in await connection.execute(query)]
        rows = await self.jobs(ids[:size])
        if wanted.oldest_first:
            rows.reverse()
        page = fitting(rows, size_bytes)
        more = len(ids) > size or len(page) < len(rows)
        return list(page), encode_place(page[-1].id, *wanted.place) if more and page else ""

    async def total(self, wanted: JobFilter, *, live: LiveCounts) -> tuple[int, bool]:
        """Return how many jobs pass, and whether that is exact."""
        if not (wanted.query or wanted.parent_id or wanted.collection):
            return _count_live(wanted, live) + await self._count_done(wanted), True
        with repeatable():
            async with self._lists.connect() as connection:
                count = (await connection.execute(count_statement(wanted))).scalar_one()
        return min(count, COUNT_MAX), count <= COUNT_MAX

    async def log_pieces(self, job_id: JobId, after: tuple[int, int]) -> list[LogPiece]:
        """Return up to 100 pieces of a log behind an attempt and a sequence."""
        rows = await self._fetch(statement("read_log"), job_id, *after)
        return [(row["attempt"], row["sequence"], row["body"]) for row in rows]

    async def counters(self, *, since: float, now: float) -> Counters:
        """Return totals, and what happened from *since* to *now*.

        Counters are kept by the hour: of the hour that a span begins in, its share is taken.
        """
        sums = await self._fetch(statement("sum_counters"))
        recent = await self._fetch(statement("recent_counters"), since - HOUR_S)
        completed = [row for row in recent if row["state"] == JobState.COMPLETED]
        jobs = sum(row["jobs"] * _share(row["hour"], since) for row in completed)
        run_s = sum(row["run_ms"] * _share(row["hour"], since) for row in completed) / 1000
        created: dict[str, float] = {}
        for row in recent:
            if row["state"] == JobState.PENDING:
                created[row["type"]] = created.get(row["type"], 0.0) + row["jobs"] * _share(
                    row["hour"], since
                )
        return Counters(
            finished={(JobState(row["state"]), row["category"]): row["jobs"] for row in sums},
            mean_run_s=run_s / jobs if jobs > 0 else 0.0,
            created_by_type={name: round(count) for name, count in created.items()},
            completed_last_hour=round(
                sum(row["jobs"] * _share(row["hour"], now - HOUR_S) for row in completed)
            ),
        )

    async def _count_done(self, wanted: JobFilter) -> int:
        states = [int(state) for state in (wanted.states & FINAL if wanted.states else FINAL)]
        [row] = await self._fetch(
            statement("sum_matching_counters"),
            states,
            sorted(wanted.types),
            sorted(int(category) for category in wanted.categories),
        )
        count: int = row["jobs"]
        return count

    async def _fetch(self, text: str, *values: object) -> list[asyncpg.Record]:
        with repeatable():
            async with self._readers.acquire() as connection:
                rows: list[asyncpg.Record] = await connection.fetch(text, *values)
        return rows


def _last_id(wanted: JobFilter, token: str) -> JobId | None:
    """Return the last job of the page before, None for the first page.

    Raises:
        InvalidError: *token* is none of ours, or of the other order.
    """
    if not token:
        return None
    last, *place = decode_place(token, parts=1 + len(wanted.place))
    if tuple(place) != wanted.place:
        raise InvalidError("is a token of another order; begin again without it", field="page_token")
    return JobId(check_id(last, "page_token"))


def page_statement(wanted: JobFilter, *, last: JobId | None, skip: int, limit: int) -> sa.Select[Any]:
    """Return the ids of *limit* jobs that come behind *last*, less the first *skip*."""
    both = _both(wanted, last=last, first=skip + limit)
    return sa.select(both.c.id).order_by(_ordered(wanted, both.c.id)).offset(skip).limit(limit)


def count_statement(wanted: JobFilter) -> sa.Select[int]:
    """Return how many jobs pass, one more than ``COUNT_MAX`` at most."""
    both = _both(wanted, last=None, first=COUNT_MAX + 1)
    some = sa.select(both.c.id).limit(COUNT_MAX + 1).subquery()
    return sa.select(sa.func.count()).select_from(some)


def _ordered(wanted: JobFilter, ids: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return ids.asc() if wanted.oldest_first else ids.desc()


def _both(wanted: JobFilter, *, last: JobId | None, first: int) -> sa.Subquery:
    """Return the ids of live and finished jobs that pass, the *first* of each behind *last*."""
    parts: list[sa.Select[Any]] = []
    for jobs, states in _parts(wanted):
        conditions = [*states, *_conditions(wanted, jobs)]
        if last is not None:
            conditions.append(jobs.c.id > last if wanted.oldest_first else jobs.c.id < last)
        some = sa.select(jobs.c.id).where(*conditions).order_by(_ordered(wanted, jobs.c.id)).limit(first)
        parts.append(sa.select(some.subquery().c.id))
    return sa.union_all(*parts).subquery()


def _parts(wanted: JobFilter) -> list[tuple[sa.Table, list[sa.ColumnElement[bool]]]]:
    """Return the tables that can hold what is wanted, with what is asked of the state in each.

    History is read state by state: the index by state is in the order of the ids within one state.
    """
    parts: list[tuple[sa.Table, list[sa.ColumnElement[bool]]]] = []
    finished = wanted.states & FINAL
    live = {JobState.QUEUED if state in LEASED else state for state in wanted.states - FINAL}
    if live:
        parts.append((JOB_LIVE, _live_states(live, wanted.leased_ids)))
    elif not finished:
        parts.append((JOB_LIVE, []))
    if not wanted.states or finished == FINAL:
        parts.append((JOB_DONE, []))
    else:
        parts += [(JOB_DONE, [_among(JOB_DONE.c.state, [state])]) for state in sorted(finished)]
    return parts


def _live_states(
    states: Collection[JobState], leased_ids: frozenset[JobId] | None
) -> list[sa.ColumnElement[bool]]:
    columns = JOB_LIVE.c
    conditions = [_among(columns.state, states)]
    if leased_ids is not None and JobState.QUEUED in states:
        mine = columns.id.in_(sorted(leased_ids))
        others = columns.state != int(JobState.QUEUED)
        conditions.append(mine if len(states) == 1 else sa.or_(others, mine))
    return conditions


def _conditions(wanted: JobFilter, jobs: sa.Table) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.types:
        conditions.append(jobs.c.type.in_(sorted(wanted.types)))
    if wanted.categories:
        conditions.append(_among(jobs.c.category, wanted.categories))
    if wanted.collection:
        conditions.append(jobs.c.collection == wanted.collection)
    if wanted.parent_id is not None:
        conditions.append(jobs.c.parent_id == wanted.parent_id)
    if wanted.query:
        pattern = any_case(wanted.query)
        texts = (sa.cast(jobs.c.id, sa.Text), jobs.c.type, sa.cast(jobs.c.params, sa.Text), jobs.c.error)
        conditions.append(sa.or_(*(text.regexp_match(pattern) for text in texts)))
    return conditions


def _among(kinds: sa.ColumnElement[Any], values: Collection[int]) -> sa.ColumnElement[bool]:
    """Compare with constants in the text of the statement, so that a partial index can serve it."""
    numbers = sorted(int(value) for value in values)
    return kinds.in_(sa.bindparam(None, numbers, expanding=True, literal_execute=True))


def _count_live(wanted: JobFilter, live: LiveCounts) -> int:
    return sum(
        jobs
        for (state, job_type, category), jobs in live.items()
        if (not wanted.states or state in wanted.states)
        and (not wanted.types or job_type in wanted.types)
        and (not wanted.categories or category in wanted.categories)
    )


def _share(hour: float, since: float) -> float:
    """Return which part of the hour that begins at *hour* lies behind *since*."""
    return min(1.0, max(0.0, (hour + HOUR_S - since) / HOUR_S))


def _last_attempt(row: JobRow) -> AttemptRow | None:
    """Return the attempt whose facts lie on the job's own row."""
    if row.attempt == 0:
        return None
    return AttemptRow(
        number=row.attempt,
        worker_id=row.worker_id,
        started_at=row.started_at,
        ended_at=row.finished_at,
        outcome=row.state.name.lower() if row.state in FINAL else "",
        error=row.error if row.state in FINAL else None,
        device=row.device,
        vram_mib=None if row.device is None else row.vram_mib,
        peak_vram_mib=row.peak_vram_mib,
    )


def size_bytes(row: JobRow) -> int:
    """Return about how large a job is in a message."""
    return 512 + sum(len(text.encode()) for text in (row.params, row.result or "", row.error or ""))


def _row(row: asyncpg.Record) -> JobRow:
    values: dict[str, Any] = dict(row.items())
    values["state"] = JobState(row["state"])
    values["category"] = Category(row["category"])
    return JobRow(**values)
