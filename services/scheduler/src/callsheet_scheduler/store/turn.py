"""Writes one turn: what ends, what begins, and everything that changes with it, in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypeVar, cast
from zlib import crc32

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet_scheduler.domain.effects import (
    ChangeJob,
    FinishJob,
    Followed,
    FreeVram,
    GrantLease,
    KeepDevice,
    ReleaseLease,
    ReviveJob,
    SettleOutput,
    TurnEffect,
    Vram,
)
from callsheet_scheduler.domain.job import LOST_MAX, JobState
from callsheet_scheduler.domain.queue import HOUR_S
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.ledger import note_peaks, write_ledger
from callsheet_scheduler.store.library import LeasedChanges, apply_all, mark_poison
from callsheet_scheduler.store.queue import (
    MARK_SEQUENCE,
    Collected,
    CounterKey,
    LogRow,
    add_outputs,
    change_jobs,
    end_and_begin,
    insert_jobs,
    point_beside,
    release_jobs,
    revive_jobs,
    settle_outputs,
    write_logs,
)

EffectT = TypeVar("EffectT", bound=TurnEffect)


class _Turn:
    """The effects of a turn by kind."""

    def __init__(self, batch: Sequence[TurnEffect]) -> None:
        self._by_kind: defaultdict[type[object], list[TurnEffect]] = defaultdict(list)
        for effect in batch:
            self._by_kind[type(effect)].append(effect)

    def of(self, kind: type[EffectT]) -> list[EffectT]:
        """Return the effects of one kind."""
        return cast("list[EffectT]", self._by_kind.get(kind, []))


async def write_turn(connection: Own, batch: Sequence[TurnEffect], *, now: float) -> None:
    """Write one turn, all or nothing. Where jobs only end and begin it is a single statement."""
    turn = _Turn(batch)
    finishes, releases = turn.of(FinishJob), turn.of(ReleaseLease)
    marks = [*_marks([*finishes, *releases, *turn.of(ReviveJob)]), *_problems(turn.of(SettleOutput))]
    changes = _changes([*finishes, *releases])
    brought = any(finish.follow_ups or finish.outputs or finish.vram is not Vram.NONE for finish in finishes)
    placed = [grant for grant in turn.of(GrantLease) if grant.job.device]
    poison = [one.job.id for one in finishes if one.lost_count >= LOST_MAX]
    plain = len(finishes) + len(turn.of(GrantLease)) == len(batch)
    if plain and not (marks or changes or brought or placed or poison):
        await _end_and_begin(connection, turn, now=now)
        return
    async with connection.transaction():
        endings: list[FinishJob | ReleaseLease] = [*finishes, *releases]
        await note_peaks(connection, endings)
        await _end_and_begin(connection, turn, now=now)
        if releases:
            await release_jobs(connection, releases)
        await write_ledger(connection, endings, turn.of(FreeVram), turn.of(KeepDevice), placed, now=now)
        await _write_moves(connection, turn)
        if changes:
            await apply_all(connection, changes, now=now)
        if poison:
            await mark_poison(connection, poison, now=now)
        if marks:
            await write_logs(connection, marks)


async def _end_and_begin(connection: Own, turn: _Turn, *, now: float) -> None:
    finishes, grants = turn.of(FinishJob), turn.of(GrantLease)
    revivals = turn.of(ReviveJob)
    if finishes or grants or revivals:
        granted_at = grants[0].at if grants else now
        await end_and_begin(
            connection,
            finishes,
            grants,
            _counters(finishes, revivals),
            _collected(finishes, revivals),
            granted_at=granted_at,
        )


async def _write_moves(connection: Own, turn: _Turn) -> None:
    if changes := turn.of(ChangeJob):
        await change_jobs(connection, changes)
    if revivals := turn.of(ReviveJob):
        await revive_jobs(connection, revivals)
    finishes = turn.of(FinishJob)
    await _add_follow_ups(connection, [*finishes, *turn.of(ReleaseLease)])
    if outputs := [output for finish in finishes for output in finish.outputs]:
        await add_outputs(connection, outputs)
    if settled := turn.of(SettleOutput):
        await settle_outputs(connection, [effect.output for effect in settled])
        if unplaced := [effect.output for effect in settled if effect.problem]:
            await point_beside(connection, unplaced)


async def _add_follow_ups(connection: Own, endings: Sequence[Followed]) -> None:
    """Insert follow-ups; those that are in history are the same jobs, and are left out.

    Raises:
        InvalidError: An id belongs to another job.
    """
    while rows := [row for ending in endings for row in ending.follow_ups]:
        done = await insert_jobs(connection, rows)
        if not done:
            return
        past = {job_id: (one.request_hash, one.state) for job_id, one in done.items()}
        for ending in endings:
            if (clash := ending.leave_out(past)) is not None:
                message = f"the follow-up job {clash} is another one in history: give each a new id"
                raise InvalidError(message, field="follow_ups")


def _changes(endings: Sequence[FinishJob | ReleaseLease]) -> list[LeasedChanges]:
    return [
        LeasedChanges(
            job_id=ending.job.id,
            token=ending.token,
            changes=ending.library,
            collection=ending.job.collection,
        )
        for ending in endings
        if ending.library is not None
    ]


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
    """Return how many jobs and how much run time each counter gains."""
    alike: dict[tuple[JobState, str, Category, float, float], list[int]] = {}
    for finish in finishes:
        job = finish.job
        hours = finish.finished_at // HOUR_S, job.created_at // HOUR_S
        sums = alike.setdefault((finish.state, job.type, job.category, *hours), [0, 0])
        sums[0] += 1
        sums[1] += finish.run_ms
    jobs: Counter[CounterKey] = Counter()
    run_ms: Counter[CounterKey] = Counter()
    for (state, job_type, category, ended, created), (count, ran_ms) in alike.items():
        for hour in (None, ended * HOUR_S):
            jobs[hour, int(state), job_type, int(category)] += count
        for hour in (None, created * HOUR_S):
            jobs[hour, int(JobState.PENDING), job_type, int(category)] += count
        run_ms[ended * HOUR_S, int(state), job_type, int(category)] += ran_ms
    for revival in revivals:
        job = revival.job
        jobs[None, int(revival.was), job.type, int(job.category)] -= 1
        for hour in (None, job.created_at // HOUR_S * HOUR_S):
            jobs[hour, int(JobState.PENDING), job.type, int(job.category)] -= 1
    return jobs, run_ms


def _collected(finishes: Sequence[FinishJob], revivals: Sequence[ReviveJob]) -> list[Collected]:
    """Return what the counters of the collections gain."""
    ended: defaultdict[tuple[str, int], list[FinishJob]] = defaultdict(list)
    for finish in finishes:
        if finish.job.collection is not None:
            ended[finish.job.collection, int(finish.state)].append(finish)
    back = Counter((one.job.collection, int(one.was)) for one in revivals if one.job.collection is not None)
    gains: list[Collected] = []
    for slug, state in {*ended, *back}:
        those = ended.get((slug, state), [])
        gains.append(
            Collected(
                slug=slug,
                state=state,
                jobs=len(those) - back[slug, state],
                started_at=min((one.job.started_at for one in those if one.job.started_at), default=None),
                finished_at=max((one.finished_at for one in those), default=None),
            )
        )
    return gains
