"""Jobs to insert, live or done."""

from dataclasses import dataclass, field

import asyncpg
from callsheet_scheduler.domain.job import FINAL, JobId, JobState

from callsheet.catalog import Category
from callsheet.ids import new_job_id

CREATED_S = 1_800_000_000.25


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as its row says. Instants are seconds since 1970."""

    state: JobState = JobState.PENDING
    type: str = "scan"
    category: Category = Category.CPU
    priority: int = 5
    params: str = "{}"
    vram_mib: int = 0
    retry_count: int = 0
    retry_after_s: float | None = None
    run_at_s: float | None = None
    granted_s: float | None = None
    started_s: float | None = None
    error: str | None = None
    parent_id: JobId | None = None
    id: JobId = field(default_factory=lambda: JobId(new_job_id()))


async def insert_jobs(connection: asyncpg.Connection, *rows: JobRow) -> list[JobId]:
    """Insert jobs; the final ones finished two seconds after they were created."""
    for row in rows:
        instants = {
            "created_at": CREATED_S,
            "run_at": row.run_at_s,
            "granted_at": row.granted_s,
            "started_at": row.started_s,
        }
        if row.state in FINAL:
            table, instants["finished_at"] = "job_done", CREATED_S + 2
        else:
            table, instants["retry_after"] = "job_live", row.retry_after_s
        names = ", ".join(instants)
        values = ", ".join(f"to_timestamp(${10 + place}::float8)" for place in range(len(instants)))
        await connection.execute(
            f"""
            INSERT INTO {table} (
                id, type, category, priority, params, vram_mib, retry_count, error, state, parent_id,
                sequence, interactive, max_retries, request_hash, token, attempt, lost_count, capacity_count,
                {names}
            ) VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $15, 1, false, 3, 0, 7, 1, 0, 0, {values}
            )
            """,  # noqa: S608 -- names from above
            row.id,
            row.type,
            int(row.category),
            row.priority,
            row.params,
            row.vram_mib,
            row.retry_count,
            row.error,
            int(row.state),
            *instants.values(),
            row.parent_id,
        )
    return [row.id for row in rows]
