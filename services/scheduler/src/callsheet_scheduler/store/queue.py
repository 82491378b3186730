"""Writes the queue: one method per statement, each for a whole batch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import asyncpg

from callsheet_scheduler.domain.effects import (
    ChangeJob,
    FinishJob,
    GrantLease,
    NewRow,
    Output,
    ReleaseLease,
    ReviveJob,
)
from callsheet_scheduler.domain.job import (
    PRIORITY_DEFAULT,
    RETRIES_DEFAULT,
    JobId,
    JobState,
    LiveJob,
    Token,
)
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.errors import DisagreementError, RefusedError
from callsheet_scheduler.store.statements import statement

ValueT = TypeVar("ValueT")

#: Log sequences from here on are marks set by the scheduler.
MARK_SEQUENCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneJob:
    """A job of history, as far as a repeated submission or result needs it."""

    request_hash: int
    token: int
    state: JobState
    created_at: float


class LogRow(NamedTuple):
    """A piece of a job's log."""

    job_id: JobId
    attempt: int
    """0 to find it by the token: the attempt has ended."""
    sequence: int
    text: str
    token: int = 0


CounterKey = tuple[float | None, int, str, int]
"""Hour in seconds since 1970 (None: all history), state, type, category."""


class Collected(NamedTuple):
    """What the counter of one collection and state gains."""

    slug: str
    state: int
    jobs: int
    started_at: float | None
    """When the first of them started."""
    finished_at: float | None
    """When the last of them ended."""


async def insert_jobs(connection: Connection, rows: Sequence[NewRow]) -> dict[JobId, DoneJob]:
    """Insert jobs, pending or leased, unless some are in history: then return these and insert nothing.

    Raises:
        asyncpg.UniqueViolationError: An id is live already; nothing was written.
    """
    jobs = [row.job for row in rows]
    ids = [job.id for job in jobs]
    kinds, of_kind = _coded([(job.type, job.category) for job in jobs])
    created_at, of_creation = _coded([job.created_at for job in jobs])
    known = await connection.fetch(
        statement("insert_jobs"),
        ids,
        [job.sequence for job in jobs],
        [job_type for job_type, _ in kinds],
        [int(category) for _, category in kinds],
        _sparse([job.priority for job in jobs], PRIORITY_DEFAULT),
        _sparse([job.interactive for job in jobs]),
        _sparse([job.vram_mib for job in jobs]),
        _sparse([job.max_retries for job in jobs], RETRIES_DEFAULT),
        [job.request_hash for job in jobs],
        _sparse([job.parent_id for job in jobs]),
        created_at,
        _sparse([job.run_at for job in jobs]),
        _sparse([row.params for row in rows], "{}"),
        _sparse([int(job.state) for job in jobs], int(JobState.PENDING)),
        _sparse([job.token for job in jobs]),
        _sparse([job.attempt for job in jobs]),
        _sparse([job.worker_id for job in jobs]),
        _sparse([job.host for job in jobs]),
        _sparse([job.root for job in jobs]),
        min(ids),
        max(ids),
        _sparse([job.size_class for job in jobs]),
        *_tie_columns(jobs),
        _sparse([job.collection for job in jobs]),
        _sparse([job.submitted_by for job in jobs]),
        _sparse([job.trace for job in jobs]),
        of_kind,
        of_creation,
    )
    return _done(known)


def _tie_columns(jobs: Sequence[LiveJob]) -> Sequence[Sequence[object] | None]:
    """Return what jobs need, as the text of arrays; what becomes of them otherwise; and unique keys."""
    ties = [job.ties for job in jobs]
    if not any(ties):
        return None, None, None
    return (
        [_uuids(one.needs) if one else None for one in ties],
        [int(one.if_fails) if one and one.needs else None for one in ties],
        [one.unique_key or None if one else None for one in ties],
    )


def _uuids(ids: Sequence[JobId]) -> str | None:
    """Return the text of an array, None for no ids."""
    return f"{{{','.join(ids)}}}" if ids else None


async def find_done(connection: Connection, ids: Sequence[JobId]) -> dict[JobId, DoneJob]:
    """Return those of *ids* that are in history."""
    return _done(await connection.fetch(statement("find_done"), ids, min(ids), max(ids))) if ids else {}


def _done(rows: Sequence[asyncpg.Record]) -> dict[JobId, DoneJob]:
    return {
        JobId(row["id"]): DoneJob(
            request_hash=row["request_hash"],
            token=row["token"],
            state=JobState(row["state"]),
            created_at=row["created_at"].timestamp(),
        )
        for row in rows
    }


async def has_yielded(connection: Connection, job_id: JobId, token: Token) -> bool:
    """Return whether the attempt under a token ended because the job yielded."""
    return bool(await connection.fetchval(statement("has_yielded"), job_id, token))


async def end_and_begin(
    connection: Connection,
    finishes: Sequence[FinishJob],
    grants: Sequence[GrantLease],
    counters: tuple[Counter[CounterKey], Counter[CounterKey]],
    collected: Sequence[Collected] = (),
    *,
    granted_at: float,
) -> None:
    """Move jobs to history, write leases, read the parameters into the grants, and count; in one statement.

    Leases begin at *granted_at*, when the first of them was decided, however long they waited to be written.

    Raises:
        asyncpg.AssertError: The tables are not as they ought to be; nothing was written.
    """
    begun = [grant.job for grant in grants]
    holders, of_holder = _coded([(job.worker_id, job.host) for job in begun])
    row = await connection.fetchrow(
        statement("write_turn"),
        [finish.job.id for finish in finishes],
        [finish.token for finish in finishes],
        _sparse([int(finish.was) for finish in finishes], int(JobState.QUEUED)),
        _sparse([int(finish.state) for finish in finishes], int(JobState.COMPLETED)),
        [finish.job.started_at for finish in finishes],
        [finish.finished_at for finish in finishes],
        _sparse([finish.error for finish in finishes]),
        _sparse([finish.result for finish in finishes], "{}"),
        _sparse([finish.lost_count for finish in finishes]),
        _sparse([int(finish.rung) for finish in finishes]),
        [job.id for job in begun],
        [job.token for job in begun],
        _sparse([job.attempt for job in begun], 1),
        [worker_id for worker_id, _ in holders],
        [host for _, host in holders],
        granted_at,
        *_counter_columns(*counters),
        *_collected_columns(collected),
        of_holder,
    )
    if row is not None and grants:
        for grant, params, checkpoint in zip(grants, row["params"], row["checkpoints"], strict=True):
            grant.params, grant.checkpoint = params, checkpoint or ""


async def release_jobs(connection: Connection, releases: Sequence[ReleaseLease]) -> None:
    """Put leased jobs back to pending, or to paused."""
    verdicts = [release.verdict for release in releases]
    status = await connection.execute(
        statement("release_jobs"),
        [release.job.id for release in releases],
        [release.token for release in releases],
        [verdict.retry_after for verdict in verdicts],
        [verdict.retry_count for verdict in verdicts],
        [verdict.lost_count for verdict in verdicts],
        [verdict.capacity_count for verdict in verdicts],
        [verdict.error for verdict in verdicts],
        [release.job.started_at for release in releases],
        [release.ended_at for release in releases],
        [release.outcome for release in releases],
        [release.reason for release in releases],
        [int(JobState.PAUSED if verdict.paused else JobState.PENDING) for verdict in verdicts],
        [release.checkpoint for release in releases],
        [release.job.vram_mib for release in releases],
        _sparse([verdict.vram_mib for verdict in verdicts]),
        _sparse([verdict.out_of_vram_count for verdict in verdicts]),
        _sparse([_uuids(release.children) for release in releases]),
    )
    expect_changed(status, len(releases), "release_jobs")


async def change_jobs(connection: Connection, changes: Sequence[ChangeJob]) -> None:
    """Write what people want of jobs that are not final."""
    status = await connection.execute(
        statement("change_jobs"),
        [change.job.id for change in changes],
        [change.token for change in changes],
        [int(change.was) for change in changes],
        [int(change.state) for change in changes],
        [change.priority for change in changes],
        [change.vram_mib for change in changes],
        [change.cancel_requested_at for change in changes],
        [change.pause_requested_at for change in changes],
    )
    expect_changed(status, len(changes), "change_jobs")


async def add_outputs(connection: Connection, outputs: Sequence[Output]) -> None:
    """Keep what has to be put where it was asked for."""
    await connection.execute(
        statement("add_outputs"),
        [output.job_id for output in outputs],
        [output.root for output in outputs],
        [output.path for output in outputs],
        [output.token for output in outputs],
        [output.staged_path for output in outputs],
    )


async def settle_outputs(connection: Connection, outputs: Sequence[Output]) -> None:
    """Forget outputs that are settled."""
    await connection.execute(
        statement("settle_outputs"),
        [output.job_id for output in outputs],
        [output.root for output in outputs],
        [output.path for output in outputs],
    )


async def point_beside(connection: Connection, outputs: Sequence[Output]) -> None:
    """Let the library's rows about outputs that could not be placed point at the files that lie beside."""
    await connection.execute(
        statement("point_beside"),
        [output.job_id for output in outputs],
        [output.root for output in outputs],
        [output.path for output in outputs],
        [output.staged_path for output in outputs],
    )


async def load_outputs(connection: Connection) -> list[Output]:
    """Return every output that is not settled."""
    return [
        Output(
            job_id=JobId(row["job_id"]),
            token=Token(row["token"]),
            root=row["root"],
            staged_path=row["staged_path"],
            path=row["path"],
        )
        for row in await connection.fetch(statement("load_outputs"))
    ]


async def revive_jobs(connection: Connection, revivals: Sequence[ReviveJob]) -> None:
    """Bring jobs back from history.

    Raises:
        RefusedError: One is not as it was read; the transaction has to be rolled back.
    """
    status = await connection.execute(
        statement("revive_jobs"),
        [revival.job.id for revival in revivals],
        [revival.job.token for revival in revivals],
        [int(revival.was) for revival in revivals],
        [revival.job.sequence for revival in revivals],
        [revival.job.retry_count for revival in revivals],
        _tie_columns([revival.job for revival in revivals])[0],
    )
    if changed_rows(status) != len(revivals):
        raise RefusedError("the job is not as it was read")


async def write_logs(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Append log text. What belongs to no attempt is left out."""
    if known := [row for row in rows if row.attempt]:
        await connection.execute(
            statement("write_logs"), *_log_columns(known), [row.attempt for row in known]
        )
    if late := [row for row in rows if not row.attempt]:
        await connection.execute(
            statement("write_late_logs"), *_log_columns(late), [row.token for row in late]
        )


def _log_columns(rows: Sequence[LogRow]) -> tuple[list[JobId], list[int], list[str]]:
    return [row.job_id for row in rows], [row.sequence for row in rows], [row.text for row in rows]


async def count_jobs(connection: Connection, jobs: Counter[CounterKey]) -> None:
    """Add to the counters."""
    await connection.execute(statement("count_jobs"), *_counter_columns(jobs, Counter()))


def _counter_columns(jobs: Counter[CounterKey], run_ms: Counter[CounterKey]) -> Sequence[Sequence[object]]:
    """Return the columns of counters in one order, so that no two batches wait for each other."""
    keys = sorted(jobs, key=lambda key: (key[0] or 0.0, *key[1:]))
    return (
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [key[3] for key in keys],
        [jobs[key] for key in keys],
        [run_ms[key] for key in keys],
    )


def _collected_columns(collected: Sequence[Collected]) -> Sequence[Sequence[object] | None]:
    """Return the columns of the collections' counters in one order."""
    if not collected:
        return (None,) * len(Collected._fields)
    return [list(column) for column in zip(*sorted(collected, key=_collection_key), strict=True)]


def _collection_key(one: Collected) -> tuple[str, int]:
    return one.slug, one.state


def _sparse(column: list[ValueT], usual: ValueT | None = None) -> list[ValueT] | None:
    """Return a column, or None where nothing in it differs from *usual*, or from zero and NULL: values cost.

    The statement puts there what is left out.
    """
    differs = any(column) if usual is None else column.count(usual) < len(column)
    return column if differs else None


def _coded(column: Sequence[ValueT]) -> tuple[list[ValueT], list[int] | None]:
    """Return the different values of a column, and for each row the place of its own, counted from 1.

    None for these where all rows have the same.
    """
    places = {value: place for place, value in enumerate(dict.fromkeys(column), start=1)}
    return list(places), [places[value] for value in column] if len(places) > 1 else None


def changed_rows(status: str) -> int:
    """Return how many rows a statement changed, by the status it left."""
    return int(status.rsplit(" ", 1)[1])


def expect_changed(status: str, wanted: int, name: str) -> None:
    """Check that a statement changed as many rows as it was to.

    Raises:
        DisagreementError: It did not: the tables are not as the leader holds them to be.
    """
    got = changed_rows(status)
    if got != wanted:
        message = f"{name} changed {got} rows instead of {wanted}"
        raise DisagreementError(message)
