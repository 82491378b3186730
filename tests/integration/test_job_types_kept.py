"""The job types that workers bring are written, whatever comes between."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.store import leader as keys
from callsheet_scheduler.store.job_types import load_job_types, save_job_types

from callsheet.errors import UnavailableError
from tests.support.job_types import NOOP
from tests.support.leader import Hands, Leader, leader

SHEET = replace(NOOP, name="contact_sheet", description="Lays stills out.")


@pytest.fixture
async def queue(fresh_dsn: str) -> AsyncIterator[Leader]:
    async with leader(fresh_dsn) as queue:
        yield queue


async def come(queue: Leader, *offers: KnownType) -> None:
    """Let a worker open a session with these types."""
    names = frozenset(offer.name for offer in offers)
    capability = Capability(id=WorkerId("w"), host="h", slots=1, types=names)
    await queue.grants.open(capability, offers, 1, [], Hands())


async def test_newest_declaration_is_kept(queue: Leader, db_writer: asyncpg.Connection) -> None:
    newer = replace(SHEET, run_limit_s=90)
    for offer in (SHEET, newer, SHEET, newer):
        await come(queue, offer)
        assert await load_job_types(db_writer) == [offer]


async def test_type_that_is_named_twice_counts_once(queue: Leader, db_writer: asyncpg.Connection) -> None:
    newer = replace(SHEET, run_limit_s=90)
    await come(queue, SHEET, newer)
    assert await load_job_types(db_writer) == [newer]


async def test_type_is_known_once_it_is_written(queue: Leader, db_writer: asyncpg.Connection) -> None:
    await db_writer.execute("ALTER TABLE job_type ADD CONSTRAINT shut CHECK (false) NOT VALID")
    with pytest.raises(UnavailableError):
        await come(queue, SHEET)
    assert queue.types.find(SHEET.name) is None
    await db_writer.execute("ALTER TABLE job_type DROP CONSTRAINT shut")
    await come(queue, SHEET)
    assert queue.types.find(SHEET.name) == SHEET
    assert await load_job_types(db_writer) == [SHEET]


async def test_leadership_that_does_not_know_whether_a_type_is_written_is_over(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    commits = queue.term.commits
    await db_writer.execute("ALTER TABLE job_type RENAME TO away")
    with pytest.raises(UnavailableError, match="may or may not have been kept"):
        await come(queue, SHEET)
    await db_writer.execute("ALTER TABLE away RENAME TO job_type")
    assert commits.lost.is_set()
    assert commits.reason.startswith("whether a decision was kept is unknown")


async def test_scheduler_that_was_deposed_cannot_write_over_its_successor(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    old = queue.term
    await keys.take_over(db_writer, "other:7420")
    await save_job_types(db_writer, [SHEET])
    with pytest.raises(UnavailableError):
        await old.write_library(lambda lent: save_job_types(lent, [replace(SHEET, run_limit_s=1)]))
    assert await load_job_types(db_writer) == [SHEET]
