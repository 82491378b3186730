"""A backup has what the tables have, and goes into an empty database alone."""

from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from callsheet_scheduler.local.backup import Database, back_up, restore, without_password
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.copying import TERMS_AHEAD, tables_of

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.workers import running_worker


async def empty_database(server: EmbeddedPostgres) -> str:
    name = f"t{uuid4().hex}"
    connection = await asyncpg.connect(server.dsn(), ssl=False)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return server.dsn(name)


async def rows_of(dsn: str) -> dict[str, list[str]]:
    """Return every row of every table, as text."""
    tables = await tables_of(dsn)
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        return {
            name: sorted(row[0] for row in await connection.fetch(f'SELECT t::text FROM "{name}" t'))  # noqa: S608 -- a name of a table
            for name in tables
        }
    finally:
        await connection.close()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def term_of(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        term: int = await connection.fetchval("SELECT term FROM leader")
    finally:
        await connection.close()
    return term


async def test_what_is_restored_goes_on_where_the_backup_was_made(
    database_server: EmbeddedPostgres, fresh_dsn: str, tmp_path: Path
) -> None:
    copy = tmp_path / "callsheet.backup"
    async with (
        real_scheduler(fresh_dsn, tmp_path) as scheduler,
        open_channel(scheduler.address) as channel,
        running_worker(scheduler.port, tmp_path),
    ):
        jobs = Jobs(channel)
        await jobs.known("count")
        (done,) = await jobs.submitted("count", params='{"countTo": 3}')
        await jobs.reached([done], JobState.JOB_STATE_COMPLETED)
        await jobs.logged(done, "number 3")
        (left,) = await jobs.connected(1)
        await jobs.drain(left, grace_s=0)
        (waiting,) = await jobs.submitted("count", params='{"countTo": 1}')
        size_bytes = await back_up(Database(dsn=fresh_dsn, programs=database_server.programs), copy)
    assert (copy.stat().st_size, copy.stat().st_mode & 0o777) == (size_bytes, 0o600)
    before = await rows_of(fresh_dsn)

    target = await empty_database(database_server)
    await restore(Database(dsn=target, programs=database_server.programs), copy)

    after = await rows_of(target)
    assert len(before.pop("leader")) == len(after.pop("leader")) == 1
    assert after == before
    assert await term_of(target) == await term_of(fresh_dsn) + TERMS_AHEAD
    folder = tmp_path / "restored"
    folder.mkdir()
    async with (
        real_scheduler(target, folder) as scheduler,
        open_channel(scheduler.address) as channel,
        running_worker(scheduler.port, folder),
    ):
        jobs = Jobs(channel)
        await jobs.reached([waiting], JobState.JOB_STATE_COMPLETED)
        assert "number 3" in await jobs.log_of(done)


async def test_nothing_is_written_over(
    database_server: EmbeddedPostgres, fresh_dsn: str, tmp_path: Path
) -> None:
    database = Database(dsn=fresh_dsn, programs=database_server.programs)
    copy = tmp_path / "callsheet.backup"
    await back_up(database, copy)
    content = copy.read_bytes()

    with pytest.raises(StartError, match="name another file"):
        await back_up(database, copy)
    with pytest.raises(StartError, match="has tables already"):
        await restore(database, copy)

    assert copy.read_bytes() == content
    assert names_in(tmp_path) == [copy.name]


async def test_half_a_backup_brings_nothing_into_the_database(
    database_server: EmbeddedPostgres, fresh_dsn: str, tmp_path: Path
) -> None:
    copy, half, other = (tmp_path / name for name in ("whole", "half", "other"))
    await back_up(Database(dsn=fresh_dsn, programs=database_server.programs), copy)
    half.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    other.write_bytes(b"a letter")
    target = await empty_database(database_server)
    database = Database(dsn=target, programs=database_server.programs)

    with pytest.raises(StartError, match="pg_restore ended with status"):
        await restore(database, half)
    with pytest.raises(StartError, match="is not what `callsheet backup` writes"):
        await restore(database, other)
    with pytest.raises(StartError, match="holds no Callsheet"):
        await back_up(database, tmp_path / "nothing")

    assert await tables_of(target) == []


@pytest.mark.parametrize(
    ("dsn", "shown", "password"),
    [
        (
            "postgresql://me:s%40cret@db:5433/q?sslmode=require",
            "postgresql://me@db:5433/q?sslmode=require",
            "s@cret",
        ),
        ("postgresql://me:x@/q?host=%2Frun%2Fdb", "postgresql://me@/q?host=%2Frun%2Fdb", "x"),
        ("postgresql://db/q", "postgresql://db/q", ""),
    ],
)
def test_the_password_is_no_argument_of_a_program(dsn: str, shown: str, password: str) -> None:
    assert without_password(dsn) == (shown, password)
