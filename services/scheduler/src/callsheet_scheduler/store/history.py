"""Reads jobs, waiting, running and finished ones together. Instants are seconds since 1970."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet_scheduler.domain.job import FINAL, JobId, JobState
from callsheet_scheduler.store.job_lists import COUNT_MAX, JobFilter, count_statement, page_statement
from callsheet_scheduler.store.paging import decode_place, encode_place, fitting
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement

#: Jobs that free text is looked for in by one statement.
WINDOW: Final = 20_000

#: Windows that are looked at for one page.
WINDOWS_MAX: Final = 10

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
    submitted_by: str | None = None


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
class Counters:
    """What the counters say."""

    finished: dict[tuple[JobState, int], int]
    """By state and category."""
    mean_run_s: float
    created_by_type: dict[str, int]
    completed_last_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRow:
    """What is counted of one hour."""

    hour: float
    """Its beginning."""
    state: JobState
    """PENDING for jobs that were created in it, or how they ended in it."""
    type: str
    jobs: int
    run_s: float
    """Of all of them together."""


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

        Jobs with much text make it shorter than *size*. So does free text that is rare: no more than
        ``WINDOW`` times ``WINDOWS_MAX`` jobs are looked at, and the token goes on behind them.

        Raises:
            InvalidError: *after* is no token of ours.
        """
        ids, edge = await self._found(wanted, last=_last_id(wanted, after), skip=skip, limit=size + 1)
        rows = await self.jobs(ids[:size])
        if wanted.oldest_first:
            rows.reverse()
        page = fitting(rows, size_bytes)
        more = len(ids) > size or len(page) < len(rows)
        last = page[-1].id if more and page else edge
        return list(page), encode_place(last, *wanted.place) if last else ""

    async def total(self, wanted: JobFilter, *, live: LiveCounts) -> tuple[int, bool]:
        """Return how many jobs pass, and whether that is exact."""
        if not (wanted.query or wanted.parent_id or wanted.collection or wanted.submitted_by):
            return _count_live(wanted, live) + await self._count_done(wanted), True
        edge = await self._edge(wanted, last=None) if wanted.query else None
        with repeatable():
            async with self._lists.connect() as connection:
                count = (await connection.execute(count_statement(wanted, edge=edge))).scalar_one()
        return min(count, COUNT_MAX), count <= COUNT_MAX and edge is None

    async def log_pieces(self, job_id: JobId, after: tuple[int, int]) -> list[LogPiece]:
        """Return up to 100 pieces of a log behind an attempt and a sequence."""
        rows = await self._fetch(statement("read_log"), job_id, *after)
        return [(row["attempt"], row["sequence"], row["body"]) for row in rows]

    async def counters(self, *, since: float, now: float) -> Counters:
        """Return totals, and what happened from *since* to *now*.

        Counters are kept by the hour: of the hour that a span begins in, its share is taken.
        """
        sums = await self._fetch(statement("sum_counters"))
        recent = await self._recent(since - HOUR_S)
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

    async def hours(self, *, since: float) -> list[HourRow]:
        """Return what is counted of the hours that begin at *since* or later."""
        rows = await self._recent(since - 1)
        return [
            HourRow(
                hour=row["hour"],
                state=JobState(row["state"]),
                type=row["type"],
                jobs=row["jobs"],
                run_s=row["run_ms"] / 1000,
            )
            for row in rows
        ]

    async def _found(
        self, wanted: JobFilter, *, last: JobId | None, skip: int, limit: int
    ) -> tuple[list[JobId], JobId | None]:
        """Return the ids of a page, and behind which job nothing was looked at; None where all was."""
        if not wanted.query:
            return await self._ids(page_statement(wanted, last=last, skip=skip, limit=limit)), None
        found: list[JobId] = []
        edge = last
        for _ in range(WINDOWS_MAX):
            begin, edge = edge, await self._edge(wanted, last=edge)
            missing = skip + limit - len(found)
            found += await self._ids(page_statement(wanted, last=begin, skip=0, limit=missing, edge=edge))
            if edge is None or len(found) == skip + limit:
                break
        return found[skip:], edge

    async def _edge(self, wanted: JobFilter, *, last: JobId | None) -> JobId | None:
        """Return the last job of a window that begins behind *last*; None where fewer are left."""
        all_texts = replace(wanted, query="")
        ids = await self._ids(page_statement(all_texts, last=last, skip=WINDOW - 1, limit=1))
        return ids[0] if ids else None

    async def _ids(self, query: sa.Select[Any]) -> list[JobId]:
        with repeatable():
            async with self._lists.connect() as connection:
                return [JobId(row[0]) for row in await connection.execute(query)]

    async def _recent(self, after: float) -> list[asyncpg.Record]:
        """Return the counters of the hours that began after an instant."""
        return await self._fetch(statement("recent_counters"), after)

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
