"""Reads jobs, waiting, running and finished ones together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    column,
    func,
    literal,
    null,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import FINAL, LEASED, JobId, JobState
from callsheet_scheduler.store.paging import decode_place, encode_place
from callsheet_scheduler.store.statements import statement

#: How far jobs are counted where no counter knows them.
COUNTED_MAX: Final = 10_000

SHARED: Final = (
    "type category priority interactive vram_mib max_retries created_at run_at state token attempt "
    "retry_count worker_id started_at error"
).split()

LIVE_ONLY: Final = ("retry_after", "cancel_requested_at")
DONE_ONLY: Final = ("finished_at", "result")


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
    created_at: datetime
    run_at: datetime | None
    token: int
    attempt: int
    retry_count: int
    worker_id: str | None
    started_at: float | None
    finished_at: datetime | None
    retry_after: datetime | None
    cancel_requested_at: datetime | None
    error: str | None
    result: str | None
    parent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One run of a job."""

    number: int
    worker_id: str | None
    started_at: float | datetime | None
    ended_at: datetime | None
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs; an empty filter passes all."""

    states: frozenset[JobState] = frozenset()
    types: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    query: str = ""
    leased_ids: frozenset[JobId] | None = None
    """Of the leased jobs only these."""


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
        """Return a job and its attempts, oldest first."""
        rows = await self.jobs([job_id])
        if not rows:
            return None
        async with self._readers.acquire() as connection:
            ended = await connection.fetch(statement("read_attempts"), job_id)
        attempts = [AttemptRow(**dict(row)) for row in ended]
        row = rows[0]
        if row.attempt > 0 and all(attempt.number != row.attempt for attempt in attempts):
            outcome = row.state.name.lower() if row.state in FINAL else ""
            attempts.append(
                AttemptRow(
                    number=row.attempt,
                    worker_id=row.worker_id,
                    started_at=row.started_at,
                    ended_at=row.finished_at,
                    outcome=outcome,
                    error=row.error if row.state is JobState.FAILED else None,
                ),
            )
        return row, attempts

    async def jobs(self, ids: Sequence[JobId]) -> list[JobRow]:
        """Return those of *ids* that exist, newest first."""
        condition = column("id").in_([cast(literal(job_id), UUID(as_uuid=False)) for job_id in ids])
        return await self._fetch(_both(condition, condition))

    async def page(
        self,
        wanted: JobFilter,
        *,
        size: int,
        after: str,
        skip: int,
    ) -> tuple[list[JobRow], str]:
        """Return a page, newest first, and the token of the next."""
        older = literal(True)  # noqa: FBT003 -- an SQL constant
        if after:
            older = column("id") < cast(literal(decode_place(after, parts=1)[0]), UUID(as_uuid=False))
        both = _both(
            and_(_condition(wanted, live=True), older),
            and_(_condition(wanted, live=False), older),
            first=size + 1 + skip,
        )
        rows = await self._fetch(both.offset(skip).limit(size + 1))
        token = encode_place(rows[size - 1].id) if len(rows) > size else ""
        return rows[:size], token

    async def total(
        self,
        wanted: JobFilter,
        *,
        live: Mapping[tuple[JobState, str, Category], int],
    ) -> tuple[int, bool]:
        """Return how many jobs pass, and whether that is exact.

        *live* counts the jobs that are not final by state, type and category.
        """
        if not wanted.query:
            return _count_live(wanted, live) + await self._count_done(wanted), True
        both = _both(_condition(wanted, live=True), _condition(wanted, live=False), first=COUNTED_MAX)
        counted = select(func.count()).select_from(both.limit(COUNTED_MAX).subquery())
        async with self._lists.connect() as connection:
            count: int = (await connection.execute(counted)).scalar_one()
        return count, count < COUNTED_MAX

    async def log_pieces(self, job_id: JobId, after: tuple[int, int]) -> list[tuple[int, int, str]]:
        """Return up to 100 pieces of a log behind *after*: attempt, sequence, text."""
        async with self._readers.acquire() as connection:
            rows = await connection.fetch(statement("read_log"), job_id, *after)
        return [(row["attempt"], row["sequence"], row["body"]) for row in rows]

    async def counters(self, *, since: float) -> Counters:
        """Return totals, and what happened since an instant in seconds since 1970."""
        async with self._readers.acquire() as connection:
            sums = await connection.fetch(statement("sum_counters"))
            recent = await connection.fetch(statement("recent_counters"), since)
        completed = [row for row in recent if row["state"] == JobState.COMPLETED]
        done = sum(row["jobs"] for row in completed)
        newest = max((row["hour"] for row in recent), default=0.0)
        created: dict[str, int] = {}
        for row in recent:
            if row["state"] == JobState.PENDING:
                created[row["type"]] = created.get(row["type"], 0) + row["jobs"]
        return Counters(
            finished={(JobState(row["state"]), row["category"]): row["jobs"] for row in sums},
            mean_run_s=sum(row["run_ms"] for row in completed) / done / 1000 if done else 0.0,
            created_by_type=created,
            completed_last_hour=sum(row["jobs"] for row in completed if row["hour"] == newest),
        )

    async def _count_done(self, wanted: JobFilter) -> int:
        states = [int(state) for state in (wanted.states & FINAL if wanted.states else FINAL)]
        async with self._readers.acquire() as connection:
            count: int = await connection.fetchval(
                statement("sum_matching_counters"),
                states,
                sorted(wanted.types),
                sorted(int(category) for category in wanted.categories),
            )
        return count

    async def _fetch(self, query: Select[tuple[object, ...]]) -> list[JobRow]:
        async with self._lists.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_row(dict(row)) for row in rows]


def _both(
    live: ColumnElement[bool],
    done: ColumnElement[bool],
    first: int | None = None,
) -> Select[tuple[object, ...]]:
    """Return live and finished jobs that pass, newest first; only the *first* of each are looked at."""
    parts = [
        select(*_columns(live=True)).select_from(table("job_live", *_plain())).where(live),
        select(*_columns(live=False)).select_from(table("job_done", *_plain())).where(done),
    ]
    if first is not None:
        parts = [part.order_by(column("id").desc()).limit(first) for part in parts]
    together = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(together).order_by(together.c.id.desc())


def _plain() -> list[ColumnElement[object]]:
    return [column("id")]


def _columns(*, live: bool) -> list[ColumnElement[object]]:
    absent = DONE_ONLY if live else LIVE_ONLY
    present = LIVE_ONLY if live else DONE_ONLY
    kinds = {"result": Text}
    return [
        column("id"),
        cast(column("parent_id"), Text).label("parent_id"),
        cast(column("params"), Text).label("params"),
        *(column(name) for name in SHARED),
        *(
            (cast(column(name), Text).label(name) if name in kinds else column(name))
            if name in present
            else _nothing(name)
            for name in (*LIVE_ONLY, *DONE_ONLY)
        ),
    ]


def _nothing(name: str) -> ColumnElement[object]:
    from sqlalchemy import DateTime  # noqa: PLC0415

    return cast(null(), Text if name == "result" else DateTime(timezone=True)).label(name)


def _condition(wanted: JobFilter, *, live: bool) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [literal(True)]  # noqa: FBT003 -- an SQL constant
    if wanted.states:
        durable = {JobState.QUEUED if state in LEASED else state for state in wanted.states}
        state_is = column("state").in_([int(state) for state in durable])
        if live and wanted.leased_ids is not None:
            ids = [cast(literal(job_id), UUID(as_uuid=False)) for job_id in wanted.leased_ids]
            state_is = and_(state_is, or_(column("state") != int(JobState.QUEUED), column("id").in_(ids)))
        conditions.append(state_is)
    if wanted.types:
        conditions.append(column("type").in_(sorted(wanted.types)))
    if wanted.categories:
        conditions.append(column("category").in_(sorted(int(value) for value in wanted.categories)))
    if wanted.query:
        texts = (column("type"), cast(column("id"), Text), cast(column("params"), Text), column("error"))
        conditions.append(or_(*(cast(text, Text).icontains(wanted.query, autoescape=True) for text in texts)))
    return and_(*conditions)


def _count_live(wanted: JobFilter, live: Mapping[tuple[JobState, str, Category], int]) -> int:
    return sum(
        jobs
        for (state, job_type, category), jobs in live.items()
        if _passes(wanted.states, state)
        and _passes(wanted.types, job_type)
        and _passes(wanted.categories, category)
    )


def _passes(allowed: Iterable[object], value: object) -> bool:
    return not allowed or value in allowed


def _row(values: dict[str, object]) -> JobRow:
    started_at = values["started_at"]
    values |= {
        "id": str(values["id"]),
        "state": JobState(values["state"]),
        "category": Category(values["category"]),
        "started_at": started_at.timestamp() if isinstance(started_at, datetime) else None,
    }
    return JobRow(**values)
