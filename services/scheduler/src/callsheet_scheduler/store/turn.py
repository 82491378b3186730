"""Writes one turn: what ends, what begins, and everything that changes with it, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

from callsheet_scheduler.domain.effects import (
    ChangeJob,
    FinishJob,
    GrantLease,
    ReleaseLease,
    ReviveJob,
    SettleOutput,
    TurnEffect,
)
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.domain.queue import HOUR_S
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.library import LeasedChanges, apply_all
from callsheet_scheduler.store.queue import (
    MARK_SEQUENCE,
    CounterKey,
    LogRow,
    add_outputs,
    change_jobs,
    count_jobs,
    finish_jobs,
    grant_jobs,
    insert_jobs,
    release_jobs,
    revive_jobs,
    settle_outputs,
    write_logs,
)

EffectT = TypeVar("EffectT", bound=TurnEffect)


async def write_turn(connection: Own, batch: Sequence[TurnEffect], *, now: float) -> None:
    """Write one turn inside the caller's transaction: what ends goes before what begins."""
    finishes = _of(batch, FinishJob)
    releases = _of(batch, ReleaseLease)
    revivals = _of(batch, ReviveJob)
    if finishes:
        await finish_jobs(connection, finishes)
    if releases:
        await release_jobs(connection, releases)
    await _write_moves(connection, batch, now=now)
    if follow_ups := [row for finish in finishes for row in finish.follow_ups]:
        await insert_jobs(connection, follow_ups)
    if changes := _changes([*finishes, *releases]):
        await apply_all(connection, changes, now=now)
    if marks := [*_marks([*finishes, *releases, *revivals]), *_problems(_of(batch, SettleOutput))]:
        await write_logs(connection, marks)
    if finishes or revivals:
        await count_jobs(connection, *_counters(finishes, revivals))


async def _write_moves(connection: Own, batch: Sequence[TurnEffect], *, now: float) -> None:
    if changes := _of(batch, ChangeJob):
        await change_jobs(connection, changes)
    if revivals := _of(batch, ReviveJob):
        await revive_jobs(connection, revivals)
    if grants := _of(batch, GrantLease):
        await grant_jobs(connection, grants, now=now)
    if outputs := [output for finish in _of(batch, FinishJob) for output in finish.outputs]:
        await add_outputs(connection, outputs)
    if settled := _of(batch, SettleOutput):
        await settle_outputs(connection, [effect.output for effect in settled])


def _changes(endings: Sequence[FinishJob | ReleaseLease]) -> list[LeasedChanges]:
    return [
        LeasedChanges(job_id=ending.job.id, token=ending.token, changes=ending.library)
        for ending in endings
        if ending.library is not None
    ]


def _of(batch: Sequence[TurnEffect], kind: type[EffectT]) -> list[EffectT]:
    return [effect for effect in batch if isinstance(effect, kind)]


def _marks(effects: Sequence[FinishJob | ReleaseLease | ReviveJob]) -> list[LogRow]:
    return [
        LogRow(
            effect.job.id,
            effect.job.attempt,
            MARK_SEQUENCE + effect.job.retry_count * 2 + isinstance(effect, ReviveJob),
            effect.mark + "\n",
        )
        for effect in effects
        if effect.mark
    ]


def _problems(settled: Sequence[SettleOutput]) -> list[LogRow]:
    return [
        LogRow(
            effect.output.job_id,
            1,
            MARK_SEQUENCE + crc32(f"{effect.output.root}/{effect.output.path}".encode()),
            f"--- OUTPUT NOT PLACED --- {effect.output.path}: {effect.problem}\n",
        )
        for effect in settled
        if effect.problem
    ]


def _counters(
    finishes: Sequence[FinishJob],
    revivals: Sequence[ReviveJob],
) -> tuple[Counter[CounterKey], Counter[CounterKey]]:
    jobs: Counter[CounterKey] = Counter()
    run_ms: Counter[CounterKey] = Counter()
    for finish in finishes:
        job, state = finish.job, int(finish.state)
        ended = (finish.finished_at // HOUR_S * HOUR_S, state, job.type, int(job.category))
        jobs[None, state, job.type, int(job.category)] += 1
        jobs[ended] += 1
        run_ms[ended] += finish.run_ms
        for hour in (None, job.created_at // HOUR_S * HOUR_S):
            jobs[hour, int(JobState.PENDING), job.type, int(job.category)] += 1
    for revival in revivals:
        job = revival.job
        jobs[None, int(revival.was), job.type, int(job.category)] -= 1
        for hour in (None, job.created_at // HOUR_S * HOUR_S):
            jobs[hour, int(JobState.PENDING), job.type, int(job.category)] -= 1
    return jobs, run_ms
