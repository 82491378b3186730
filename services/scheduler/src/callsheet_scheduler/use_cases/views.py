"""Jobs as somebody looks at them: the row of the table, and what only the leader's memory knows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from callsheet.errors import InvalidError, NotFoundError
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.forecast import predicted_start
from callsheet_scheduler.domain.job import FINAL, LEASED, JobId, JobState
from callsheet_scheduler.domain.queue import HOUR_S
from callsheet_scheduler.domain.waits import Wait, joined
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store.history import AttemptRow, HistoryStore, HourRow, JobRow, size_bytes
from callsheet_scheduler.store.job_lists import JobFilter
from callsheet_scheduler.store.minutes import MinutesStore
from callsheet_scheduler.store.paging import fitting
from callsheet_scheduler.use_cases.waiting import minute, queue_position, waiting_reason

DAY_S: Final = 24 * HOUR_S

HOURS_DEFAULT: Final = 24
HOURS_MAX: Final = 168

#: Digits of the place in a job's children that a page begins at.
PLACE_DIGITS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it stands."""

    row: JobRow
    state: JobState
    progress_percent: int = 0
    started_at: float | None = None
    waiting_reason: str = ""
    queue_position: int = 0
    predicted_end_at: float | None = None
    predicted_start_at: float | None = None
    """Only of a job that was asked for by itself: it costs more than a look."""
    attempts: list[AttemptRow] = field(default_factory=list[AttemptRow])


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some jobs, newest first."""

    jobs: list[JobView]
    next_token: str
    total: int
    total_is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIds:
    """The ids of some jobs, newest first."""

    ids: list[JobId]
    next_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts of the whole queue."""

    states: dict[tuple[JobState, int], int]
    """By state and category."""
    vram_allocated_mib: int
    vram_capacity_mib: int
    mean_run_s: float
    created_by_type: dict[str, int]
    completed_last_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """What came and what ended, by the hour."""

    first: float
    """When the first hour began."""
    last: float
    """When the present one began."""
    counts: list[HourRow]
    waits: Sequence[Wait]
    """Before first attempts."""


class Views:
    """Reads jobs."""

    def __init__(self, leadership: Leadership, history: HistoryStore, minutes: MinutesStore) -> None:
        self._leadership = leadership
        self._history = history
        self._minutes = minutes

    async def job(self, job_id: JobId) -> JobView:
        """Return one job with its attempts.

        Raises:
            NotFoundError: There is none.
        """
        engine, now = self._engine()
        found = await self._history.job(job_id)
        if found is not None and found[0].state not in FINAL and job_id not in engine.queue.jobs:
            found = await self._history.job(job_id)  # it became final while it was read
        if found is None:
            message = f"there is no job {job_id}"
            raise NotFoundError(message)
        row, attempts = found
        view = _with_start(engine, view_of(engine, row, now), now)
        return replace(view, attempts=[_begun(attempt, view) for attempt in attempts])

    async def jobs(self, ids: Sequence[JobId]) -> list[JobView]:
        """Return those of *ids* that exist."""
        engine, now = self._engine()
        return [view_of(engine, row, now) for row in await self._history.jobs(ids)]

    async def children(self, job_id: JobId, *, size: int, after: str) -> tuple[list[JobView], str]:
        """Return one page of the jobs that a job has yielded to, and the token of the next.

        Raises:
            NotFoundError: There is no such job.
        """
        engine, now = self._engine()
        first = _place_of(after)
        ids = await self._history.children(job_id, first=first, limit=size + 1)
        if ids is None:
            message = f"there is no job {job_id}"
            raise NotFoundError(message)
        rows = {row.id: row for row in await self._history.jobs(ids[:size])}
        found = fitting([rows[child] for child in ids[:size] if child in rows], size_bytes)
        seen = size if len(found) == len(rows) else ids.index(JobId(found[-1].id)) + 1
        token = str(first + seen) if len(ids) > seen else ""
        return [view_of(engine, row, now) for row in found], token

    async def page(self, wanted: JobFilter, *, size: int, after: str, skip: int) -> Page:
        """Return one page of the jobs that pass *wanted*."""
        engine, now = self._engine()
        wanted = _among_leased(engine, wanted)
        rows, next_token = await self._history.page(wanted, size=size, after=after, skip=skip)
        if (rows or not skip) and not (after or next_token):
            total, exact = skip + len(rows), True  # the page is the last, and what is before it was counted
        else:
            total, exact = await self._history.total(wanted, live=engine.queue.counts)
        return Page(
            jobs=[view_of(engine, row, now) for row in rows],
            next_token=next_token,
            total=max(total, skip + len(rows)) if rows else total,
            total_is_exact=exact,
        )

    async def ids(self, wanted: JobFilter, *, size: int, after: str) -> FoundIds:
        """Return the ids of the jobs of one page."""
        engine, _ = self._engine()
        rows, next_token = await self._history.page(
            _among_leased(engine, wanted), size=size, after=after, skip=0
        )
        return FoundIds(ids=[JobId(row.id) for row in rows], next_token=next_token)

    async def stats(self) -> Stats:
        """Return counts of the whole queue."""
        engine, now = self._engine()
        counted = await self._history.counters(since=now - DAY_S, now=now)
        states: dict[tuple[JobState, int], int] = {
            (state, category): jobs for (state, category), jobs in counted.finished.items()
        }
        created = dict(counted.created_by_type)
        for (state, _, category), jobs in engine.queue.counts.items():
            key = (state, int(category))
            states[key] = states.get(key, 0) + jobs
        for (hour, job_type), jobs in engine.queue.created.items():
            if hour * HOUR_S >= now - DAY_S:
                created[job_type] = created.get(job_type, 0) + jobs
        accounts = engine.ledger.accounts.values()
        return Stats(
            states=states,
            vram_allocated_mib=sum(account.allocated.vram_mib for account in accounts),
            vram_capacity_mib=sum(account.bounds.capacity_mib for account in accounts),
            mean_run_s=counted.mean_run_s,
            created_by_type=created,
            completed_last_hour=counted.completed_last_hour,
        )

    async def hours(self, count: int) -> Hours:
        """Return what came and what ended in each of the last hours, the present one included.

        Raises:
            InvalidError: There are too many.
        """
        if not 0 <= count <= HOURS_MAX:
            raise InvalidError(f"must be 1 to {HOURS_MAX}, not {count}", field="hours")
        engine, now = self._engine()
        last = now // HOUR_S * HOUR_S
        first = last - ((count or HOURS_DEFAULT) - 1) * HOUR_S
        live = [
            HourRow(hour=hour * HOUR_S, state=JobState.PENDING, type=job_type, jobs=jobs, run_s=0.0)
            for (hour, job_type), jobs in engine.queue.created.items()
            if hour * HOUR_S >= first
        ]
        counts = together([*await self._history.hours(since=first), *live])
        kept = await self._minutes.waits(since=first)
        return Hours(first=first, last=last, counts=counts, waits=joined([*kept, *engine.waits.all()]))

    def _engine(self) -> tuple[Engine, float]:
        term = self._leadership.current()
        return term.engine, term.commits.now()


def together(rows: Iterable[HourRow]) -> list[HourRow]:
    """Return the sums of what is of one hour, state and type, in that order, without those of nothing."""
    sums: dict[tuple[float, JobState, str], HourRow] = {}
    for row in rows:
        key = (row.hour, row.state, row.type)
        before = sums.get(key)
        sums[key] = (
            row
            if before is None
            else replace(row, jobs=before.jobs + row.jobs, run_s=before.run_s + row.run_s)
        )
    return [sums[key] for key in sorted(sums) if sums[key].jobs > 0]


def _place_of(token: str) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) <= PLACE_DIGITS):
        message = "is no token of a page of children"
        raise InvalidError(message, field="page_token")
    return int(token)


def view_of(engine: Engine, row: JobRow, now: float) -> JobView:
    """Return *row* with what the leader's memory adds."""
    started_at = row.started_at
    if row.state in FINAL:
        progress = 100 if row.state is JobState.COMPLETED else 0
        return JobView(row=row, state=row.state, progress_percent=progress, started_at=started_at)
    job = engine.queue.jobs.get(JobId(row.id))
    if job is None or job.token != row.token:
        return JobView(row=row, state=row.state, started_at=started_at)
    running = row.state is JobState.QUEUED and job.state is JobState.RUNNING
    return JobView(
        row=row,
        state=JobState.RUNNING if running else row.state,
        progress_percent=job.progress_percent,
        started_at=job.started_at or started_at,
        waiting_reason=waiting_reason(engine, job, now),
        queue_position=queue_position(engine, job, now),
        predicted_end_at=engine.footprints.end_at(job, now) if running else None,
    )


def _begun(attempt: AttemptRow, view: JobView) -> AttemptRow:
    """Add to the attempt that is under way when it began: until it ends that is in memory alone."""
    is_present = attempt.ended_at is None and attempt.number == view.row.attempt
    return replace(attempt, started_at=view.started_at) if is_present else attempt


def _with_start(engine: Engine, view: JobView, now: float) -> JobView:
    """Add to the view of a job that waits when it could start, where that is known."""
    job = engine.queue.jobs.get(JobId(view.row.id))
    start_at = predicted_start(engine, job, now) if job is not None and view.waiting_reason else None
    if start_at is None:
        return view
    reason = f"{view.waiting_reason}; could start about {minute(start_at, now)}"
    return replace(view, waiting_reason=reason, predicted_start_at=start_at)


def _among_leased(engine: Engine, wanted: JobFilter) -> JobFilter:
    """Tell queued jobs from running ones, where only one of both is wanted: the tables cannot."""
    queued_or_running = wanted.states & LEASED
    if len(queued_or_running) != 1:
        return wanted
    return replace(wanted, leased_ids=_leased_ids(engine, next(iter(queued_or_running))))


def _leased_ids(engine: Engine, state: JobState) -> frozenset[JobId]:
    return frozenset(
        job_id
        for worker in engine.fleet.workers.values()
        for job_id in worker.leases
        if engine.queue.jobs[job_id].state is state
    )
