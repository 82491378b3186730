"""Reads jobs as the records that the engine keeps."""

from collections.abc import Awaitable, Callable, Sequence
from sys import intern
from typing import Final, cast

import asyncpg

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import IfFails, JobId, JobState, LiveJob, Ties, Token, WorkerId
from callsheet_scheduler.store.connection import Connection, Pool
from callsheet_scheduler.store.statements import statement

ReadDone = Callable[[Sequence[JobId]], Awaitable[dict[JobId, tuple[LiveJob, JobState]]]]
"""Reads those jobs that are in history, as pending records, each with the state it is in."""

_CATEGORIES: Final = {int(category): category for category in Category}
_STATES: Final = {int(state): state for state in JobState}


async def load_live(connection: Connection) -> list[LiveJob]:
    """Return every live job, in no order."""
    async with connection.transaction():
        return [_live(row) async for row in connection.cursor(statement("load_live"), prefetch=5000)]


async def read_done(readers: Pool, ids: Sequence[JobId]) -> dict[JobId, tuple[LiveJob, JobState]]:
    """Return those of *ids* that are in history, as pending records, each with the state it is in."""
    if not ids:
        return {}
    rows = await readers.fetch(statement("read_done"), ids, min(ids), max(ids))
    return {JobId(row["id"]): (_record(row), JobState(row["state"])) for row in rows}


def _record(row: asyncpg.Record) -> LiveJob:
    return LiveJob(
        id=JobId(row["id"]),
        sequence=row["sequence"],
        type=row["type"],
        category=Category(row["category"]),
        priority=row["priority"],
        interactive=row["interactive"],
        vram_mib=row["vram_mib"],
        max_retries=row["max_retries"],
        request_hash=row["request_hash"],
        parent_id=row["parent_id"],
        created_at=row["created_at"],
        run_at=None,
        token=Token(row["token"]),
        attempt=row["attempt"],
        retry_count=row["retry_count"],
        error=row["error"],
        root=row["root"],
        size_class=row["size_class"],
        ties=_ties(row),
        collection=row["collection"],
        submitted_by=row["submitted_by"],
    )


def _live(row: asyncpg.Record) -> LiveJob:
    """Return a job that `load_live` reads; a million of them keep what they have in common once."""
    return LiveJob(
        id=JobId(row["id"]),
        sequence=row["sequence"],
        type=intern(row["type"]),
        category=_CATEGORIES[row["category"]],
        priority=row["priority"],
        interactive=row["interactive"],
        vram_mib=row["vram_mib"],
        max_retries=row["max_retries"],
        request_hash=row["request_hash"],
        parent_id=row["parent_id"],
        created_at=row["created_at"],
        run_at=row["run_at"],
        state=_STATES[row["state"]],
        token=Token(row["token"]),
        attempt=row["attempt"],
        retry_count=row["retry_count"],
        lost_count=row["lost_count"],
        capacity_count=row["capacity_count"],
        retry_after=row["retry_after"],
        worker_id=cast("WorkerId | None", _shared(row["worker_id"])),
        host=_shared(row["host"]),
        cancel_requested_at=row["cancel_requested_at"],
        pause_requested_at=row["pause_requested_at"],
        error=row["error"],
        root=_shared(row["root"]),
        device=_shared(row["device"]),
        out_of_vram_count=row["out_of_vram_count"],
        size_class=row["size_class"],
        ties=_live_ties(row),
        collection=_shared(row["collection"]),
        submitted_by=_shared(row["submitted_by"]),
        trace=row["trace"],
    )


def _live_ties(row: asyncpg.Record) -> Ties | None:
    """Return the ties of a live job, which may have yielded: then its children alone count as not final."""
    ties = _ties(row)
    if row["children"] is None:
        return ties
    ties = ties or Ties()
    ties.children, ties.yields = tuple(JobId(job_id) for job_id in row["children"]), row["yields"]
    ties.open = set(ties.children)
    return ties


def _ties(row: asyncpg.Record) -> Ties | None:
    """Return the ties of a job; those that it needs count as not final."""
    needs, key = row["needs"], row["unique_key"]
    if needs is None and key is None:
        return None
    ids = tuple(JobId(job_id) for job_id in needs or ())
    if_fails = IfFails(row["if_needed_fails"] or IfFails.FAIL)
    return Ties(needs=ids, if_fails=if_fails, unique_key=key or "", open=set(ids))


def _shared(text: str | None) -> str | None:
    return None if text is None else intern(text)
