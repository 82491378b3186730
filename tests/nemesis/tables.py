"""Reads what the tables hold at the end of a round, in one transaction, as events of a history."""

from pathlib import Path
from typing import Final

import asyncpg
from pydantic import TypeAdapter

from callsheet.catalog import Category
from callsheet.v1.job_pb2 import JobState
from callsheet.verify.events import (
    AnyEvent,
    AttemptRow,
    CounterRow,
    JobRow,
    LogRows,
    OutputRow,
    State,
    Tables,
)
from callsheet.verify.recorder import Stamp
from tests.nemesis.database import connected

_STATES: Final[TypeAdapter[State]] = TypeAdapter(State)
_PREFIX: Final = "JOB_STATE_"

#: Marks that the scheduler puts into a log have sequences from here on.
MARKS_FROM: Final = 1_000_000

_JOBS: Final = """
SELECT
    '{what}' AS what, id::text, type, category, priority, interactive, max_retries, state, token, attempt,
    retry_count, lost_count, capacity_count, worker_id AS worker, host, error,
    extract(epoch FROM created_at)::float8 AS created_at, extract(epoch FROM run_at)::float8 AS run_at,
    extract(epoch FROM granted_at)::float8 AS granted_at,
    extract(epoch FROM started_at)::float8 AS started_at,
    {finished_at} AS finished_at
FROM {table}
"""
_LIVE: Final = _JOBS.format(what="live", table="job_live", finished_at="NULL::float8")
_DONE: Final = _JOBS.format(
    what="done", table="job_done", finished_at="extract(epoch FROM finished_at)::float8"
)
_ATTEMPTS: Final = """
SELECT
    job_id::text AS job, number, token, worker_id AS worker, outcome, error,
    extract(epoch FROM ended_at)::float8 AS ended_at
FROM job_attempt
"""
_LOGS: Final = """
SELECT job_id::text AS job, attempt, count(*) AS pieces, min(sequence) AS first, max(sequence) AS last
FROM job_log
WHERE sequence < $1
GROUP BY job_id, attempt
"""
_OUTPUTS: Final = "SELECT job_id::text AS job, token, path FROM library_derivative"
_COUNTERS: Final = """
SELECT state, type, category, jobs FROM job_counter WHERE hour = '-infinity'
"""


async def read_tables(dsn: str, stamp: Stamp, *, at_rest: bool) -> list[AnyEvent]:
    """Return what the tables hold; *at_rest* says that everything had time to come to its end."""
    async with (
        connected(dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        term: int = await connection.fetchval("SELECT term FROM leader")
        rows = await _rows(connection, stamp)
    return [Tables(**stamp, at_rest=at_rest, term=term), *rows]


async def under_way(dsn: str) -> bool:
    """Return whether a job is not final, or a file not where it was asked for."""
    async with connected(dsn) as connection:
        answer: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM job_live) OR EXISTS (SELECT FROM output_intent)"
        )
    return answer


def read_files(folder: Path, stamp: Stamp) -> list[OutputRow]:
    """Return the files that lie where jobs asked for them; each says who made it."""
    return [
        OutputRow(**stamp, job=words[0], token=int(words[1]), path=str(path.relative_to(folder)))
        for path in sorted(folder.rglob("*.txt"))
        if (words := path.read_text(encoding="ascii").split())
    ]


def state_word(state: int) -> State:
    """Return the word of a history for a state of the wire or of the tables."""
    word: State = _STATES.validate_python(
        JobState.Name(JobState.ValueType(state)).removeprefix(_PREFIX).lower()
    )
    return word


async def _rows(connection: asyncpg.Connection, stamp: Stamp) -> list[AnyEvent]:
    jobs = [*await connection.fetch(_LIVE), *await connection.fetch(_DONE)]
    attempts = await connection.fetch(_ATTEMPTS)
    logs = await connection.fetch(_LOGS, MARKS_FROM)
    outputs = await connection.fetch(_OUTPUTS)
    counters = await connection.fetch(_COUNTERS)
    return [
        *(JobRow.model_validate(dict(row) | stamp | _words(row)) for row in jobs),
        *(AttemptRow.model_validate(dict(row) | stamp) for row in attempts),
        *(LogRows.model_validate(dict(row) | stamp) for row in logs),
        *(OutputRow.model_validate(dict(row) | stamp) for row in outputs),
        *(CounterRow.model_validate(dict(row) | stamp | _words(row)) for row in counters),
    ]


def _words(row: asyncpg.Record) -> dict[str, str]:
    """Return what a history says in words and the tables in numbers."""
    return {"state": state_word(row["state"]), "category": Category(row["category"]).name.lower()}
