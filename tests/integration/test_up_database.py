"""The database server that ``callsheet up`` brings along."""

import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from callsheet_scheduler.local.accounts import database_account
from callsheet_scheduler.local.binaries import PROGRAM_ENVIRONMENT, SHARED_FOLDER
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.spawn import Program, start_program

from tests.support.folders import open_folder
from tests.support.processes import ended, until

QUICK = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
def data() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
async def postgres(data: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data, settings=QUICK)
    await server.start()
    yield server
    await server.close()


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn, ssl=False, timeout=30)
    try:
        answer: object = await connection.fetchval(question)
        return answer
    finally:
        await connection.close()


def owner(path: Path) -> int:
    return path.stat().st_uid


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_database_is_reached_by_its_password_and_its_own_socket_alone(
    postgres: EmbeddedPostgres,
) -> None:
    settings = "SELECT current_setting('data_checksums') || current_setting('listen_addresses')"
    assert await ask(postgres.dsn(), settings) == "on"
    assert [mode(postgres.home / name) for name in ("", "cluster", "socket", "password")] == [
        0o700,
        0o700,
        0o700,
        0o600,
    ]
    password = (postgres.home / "password").read_text().strip()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(postgres.dsn().replace(password, "guess"), "SELECT 1")


async def test_server_does_not_run_as_root(postgres: EmbeddedPostgres) -> None:
    assert owner(Path(f"/proc/{postgres.pid}")) != 0


async def test_what_was_written_survives_a_crash_and_the_address_stays(data: Path) -> None:
    async with EmbeddedPostgres(data) as dsn:
        assert (
            await ask(dsn, "SELECT current_setting('fsync') || current_setting('synchronous_commit')")
            == "onon"
        )
    server = EmbeddedPostgres(data)
    assert await server.start() == dsn
    await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS figure")
    await server.kill()
    assert not server.running

    assert await server.start() == dsn
    assert await ask(dsn, "SELECT figure FROM kept") == 7
    await server.close()


async def test_second_process_on_the_same_folder_is_refused(postgres: EmbeddedPostgres, data: Path) -> None:
    with pytest.raises(StartError, match="Another process runs the database"):
        await EmbeddedPostgres(data, settings=QUICK).start()

    assert await ask(postgres.dsn(), "SELECT 1") == 1


async def test_server_that_an_earlier_start_left_behind_is_ended(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=QUICK)
    await server.start()
    await server.close()
    cluster = server.home / "cluster"
    arguments = (str(server.programs / "postgres"), "-D", str(cluster), "-c", "unix_socket_directories=")
    program = Program(arguments=arguments, environment=PROGRAM_ENVIRONMENT, account=database_account(cluster))
    left = await start_program(program, log=data / "left.log")
    await until(lambda: "ready" in (data / "left.log").read_text())

    async with EmbeddedPostgres(data, settings=QUICK) as dsn:
        assert ended(left.pid)
        assert await ask(dsn, "SELECT 1") == 1
    await left.wait()


async def test_process_id_that_another_program_has_now_does_no_harm(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=QUICK)
    await server.start()
    await server.stop()
    (server.home / "cluster" / "postmaster.pid").write_text(f"{os.getppid()}\n{server.home / 'cluster'}\n")

    dsn = await server.start()

    assert await ask(dsn, "SELECT 1") == 1
    await server.close()


@pytest.fixture
def closed(data: Path) -> Path:
    data.chmod(0o700)
    return data


async def test_folder_that_the_account_may_not_enter_stays_closed(closed: Path) -> None:
    server = EmbeddedPostgres(closed, settings=QUICK)
    try:
        await server.start()
        if os.geteuid() == 0:
            assert server.home.parent == SHARED_FOLDER
            assert (server.home / "belongs-to").read_text() == f"{closed}\n"
        else:
            assert server.home == closed / "postgres"
        assert mode(closed) == 0o700
    finally:
        await server.close()
        shutil.rmtree(server.home)


async def test_lost_password_is_said(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=QUICK)
    await server.start()
    await server.close()
    (server.home / "password").unlink()

    with pytest.raises(StartError, match=r"password is missing: put it back, or remove .* to begin anew"):
        await EmbeddedPostgres(data, settings=QUICK).start()


async def test_programs_of_another_version_leave_the_cluster_alone(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=QUICK)
    await server.start()
    await server.close()
    version = server.home / "cluster" / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(StartError, match="was made by PostgreSQL 9 and these programs are version"):
        await EmbeddedPostgres(data, settings=QUICK).start()
