"""The simulator's tables do what the real statements do: the same batches leave the same rows."""

import asyncio
import copy
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import pytest
from callsheet_scheduler.domain.effects import JOBLESS, Followed, NewRow, TurnEffect
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.store import queue
from callsheet_scheduler.store.partitions import make_partitions
from callsheet_scheduler.store.records import load_live
from callsheet_scheduler.store.turn import write_turn

from tests.support.simulator.contents import Contents
from tests.support.simulator.scheduler import START, restored
from tests.support.simulator.world import simulate

SEEDS = (1, 3, 11, 112)


class Tape:
    """Keeps what every commit wrote, as it was then: the engine's records go on changing."""

    def __init__(self) -> None:
        self.inserts_and_turns: list[tuple[list[NewRow], list[TurnEffect]]] = []
        self.contents = Contents()

    def record(self, what: Sequence[NewRow] | Sequence[TurnEffect]) -> None:
        """Keep a copy, and write it to simulated tables too."""
        rows = [_row(one) for one in what if isinstance(one, NewRow)]
        effects = [_effect(one) for one in what if not isinstance(one, NewRow)]
        self.inserts_and_turns.append((rows, effects))
        self.contents.insert(rows)
        self.contents.turn(effects, now=START)


async def test_same_batches_leave_the_same_rows(db_writer: asyncpg.Connection) -> None:
    await make_partitions(db_writer, now=datetime.fromtimestamp(START, UTC))
    for seed in SEEDS:
        tape = Tape()
        await asyncio.to_thread(simulate, seed, recorder=tape.record)
        for rows, effects in tape.inserts_and_turns:
            await _write(db_writer, rows, effects)
        await _compare(db_writer, tape.contents)
        await db_writer.execute(
            "TRUNCATE job_live, job_done, job_attempt, job_log, output_intent, device, allocation,"
            " collection_counter"
        )


async def test_half_of_the_batches_leave_the_same_rows(db_writer: asyncpg.Connection) -> None:
    """In the middle of a run jobs are in every state; at its end they are all done."""
    await make_partitions(db_writer, now=datetime.fromtimestamp(START, UTC))
    tape = Tape()
    await asyncio.to_thread(simulate, SEEDS[0], recorder=tape.record)
    contents = Contents()
    states: set[JobState] = set()
    for rows, effects in tape.inserts_and_turns:
        contents.insert(rows)
        contents.turn(effects, now=START)
        await _write(db_writer, rows, effects)
        states |= {row.job.state for row in contents.live.values()}
        await _compare(db_writer, contents)
    assert {JobState.PENDING, JobState.QUEUED} <= states


async def _write(connection: asyncpg.Connection, rows: list[NewRow], effects: list[TurnEffect]) -> None:
    async with connection.transaction():
        if rows:
            await queue.insert_jobs(connection, rows)
        await write_turn(connection, effects, now=START)


async def _compare(connection: asyncpg.Connection, wanted: Contents) -> None:
    live = [restored(row) for row in sorted(wanted.live.values(), key=lambda row: row.job.sequence)]
    assert await _live_facts(connection) == [_about(job) for job in live]
    done = await connection.fetch(
        "SELECT id::text, state, token, attempt, retry_count, lost_count, error, result::text, stop_rung"
        " FROM job_done ORDER BY id"
    )
    assert [tuple(row) for row in done] == [
        (
            job_id,
            int(one.state),
            one.row.job.token,
            one.row.job.attempt,
            one.row.job.retry_count,
            one.row.job.lost_count,
            one.error,
            one.result,
            one.rung or None,
        )
        for job_id, one in sorted(wanted.done.items())
    ]
    counted = await connection.fetch(
        "SELECT slug, state, jobs FROM collection_counter WHERE jobs <> 0 ORDER BY 1, 2"
    )
    ended = Counter((one.row.job.collection, int(one.state)) for one in wanted.done.values())
    assert [tuple(row) for row in counted] == sorted(
        (slug, state, jobs) for (slug, state), jobs in ended.items() if slug is not None
    )
    attempts = await connection.fetch(
        "SELECT job_id::text, number, token, outcome FROM job_attempt ORDER BY job_id, number"
    )
    assert [tuple(row) for row in attempts] == sorted(wanted.attempts)
    allocations = await connection.fetch(
        "SELECT job_id::text, token, device, worker_id, vram_mib, encoder_sessions, lingers_since IS NOT NULL"
        " FROM allocation ORDER BY job_id, token"
    )
    assert [tuple(row) for row in allocations] == [
        (*lease, one.device, one.worker_id, *one.need, one.lingers_since is not None)
        for lease, one in sorted(wanted.allocations.items())
    ]
    devices = await connection.fetch(
        "SELECT uuid, capacity_mib, margin_mib, encoder_sessions_max, allocated_mib, encoder_sessions"
        " FROM device ORDER BY uuid"
    )
    assert [tuple(row) for row in devices] == [
        (
            uuid,
            kept.bounds.capacity_mib,
            kept.bounds.margin_mib,
            kept.bounds.encoder_sessions_max,
            *wanted.allocated(uuid),
        )
        for uuid, kept in sorted(wanted.devices.items())
    ]
    outputs = await connection.fetch("SELECT job_id::text, root, path FROM output_intent ORDER BY 1, 2, 3")
    assert [tuple(row) for row in outputs] == sorted(wanted.outputs)


async def _live_facts(connection: asyncpg.Connection) -> list[dict[str, object]]:
    live = await load_live(connection)
    return [_facts(job) for job in sorted(live, key=lambda job: job.sequence)]


def _facts(job: LiveJob) -> dict[str, object]:
    """Return everything that the tables keep."""
    passed_over = {"started_at", "resumed", "busy", "ties"}
    facts: dict[str, object] = {
        name: getattr(job, name) for name in LiveJob.__slots__ if name not in passed_over
    }
    tied = job.ties
    return facts | {
        "needs": tied.needs if tied else (),
        "if_fails": tied.if_fails if tied and tied.needs else None,
        "unique_key": tied.unique_key if tied else "",
        "children": tied.children if tied else (),
        "yields": tied.yields if tied else 0,
    }


def _about(job: LiveJob) -> dict[str, object]:
    """Return the same; the tables keep instants to the microsecond."""
    return {
        name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
        for name, value in _facts(job).items()
    }


def _row(row: NewRow) -> NewRow:
    return NewRow(job=_job(row.job), params=row.params)


def _effect(effect: TurnEffect) -> TurnEffect:
    other = copy.copy(effect)
    if not isinstance(other, JOBLESS):
        other.job = _job(other.job)
    if isinstance(other, Followed):
        other.follow_ups = [_row(row) for row in other.follow_ups]
    return other


def _job(job: LiveJob) -> LiveJob:
    other = copy.copy(job)
    other.deferred = None
    return other
