"""Copies the database into one file, and such a file into an empty database."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from callsheet_scheduler.local.binaries import PROGRAM_ENVIRONMENT, find_programs
from callsheet_scheduler.local.data_folder import DataFolder, open_data_folder
from callsheet_scheduler.local.errors import InUseError, StartError
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.spawn import Program, run_program
from callsheet_scheduler.store.copying import leap, tables_of

COPY_LIMIT_S: Final = 24 * 3600.0
MARK: Final = b"PGDMP"
"""What a file of pg_dump's custom format begins with."""
DATABASE_URL: Final = "DATABASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database that can be reached now, and the programs to copy it with."""

    dsn: str
    programs: Path


@asynccontextmanager
async def present_database(data: Path, environment: Mapping[str, str]) -> AsyncGenerator[Database]:
    """Lend the database that DATABASE_URL names, else the one of *data*; it is started where it does not run.

    Raises:
        StartError: There is none, or it does not start.
    """
    if environment.get(DATABASE_URL):
        yield await _named(environment)
        return
    folder = _known_folder(data)
    postgres = EmbeddedPostgres(folder.path, log=folder.logs / "database.log", environment=environment)
    try:
        try:
            dsn = await postgres.start()
        except InUseError:
            dsn = postgres.dsn()
        yield Database(dsn=dsn, programs=postgres.programs)
    finally:
        await postgres.close()


@asynccontextmanager
async def new_database(data: Path, environment: Mapping[str, str]) -> AsyncGenerator[Database]:
    """Lend the database that DATABASE_URL names, else one in *data*, with which nothing may run meanwhile.

    Raises:
        StartError: It does not start, or is in use.
    """
    if environment.get(DATABASE_URL):
        yield await _named(environment)
        return
    folder, lock = open_data_folder(data)
    try:
        log = folder.logs / "database.log"
        async with EmbeddedPostgres(folder.path, log=log, environment=environment) as dsn:
            yield Database(dsn=dsn, programs=await find_programs(environment, None))
    finally:
        os.close(lock)


async def back_up(database: Database, file: Path) -> int:
    """Write a copy of *database*, as it is at one instant, to *file*; return its bytes.

    Others work on meanwhile. The file is there whole or not at all, and readable by its owner alone.

    Raises:
        StartError: There is such a file, there is nothing to copy, or it does not succeed.
    """
    _check_new(file)
    if "leader" not in await _tables(database):
        raise StartError("The database holds no Callsheet: there is nothing to back up.")
    staged = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        await _run(database, "pg_dump", "--format=custom", f"--file={staged}")
        with staged.open("rb") as written:
            os.fsync(written.fileno())
            size_bytes = os.fstat(written.fileno()).st_size
        staged.replace(file)
    except OSError as error:
        raise StartError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        staged.unlink(missing_ok=True)
    return size_bytes


async def restore(database: Database, file: Path) -> None:
    """Bring the copy in *file* into *database*, which has to be empty: all of it or nothing.

    Raises:
        StartError: The file is no copy, the database is not empty, or it does not succeed.
    """
    try:
        with file.open("rb") as copy:
            begins = copy.read(len(MARK))
    except OSError as error:
        raise StartError(f"{file} cannot be read: {error.strerror or error}.") from error
    if begins != MARK:
        raise StartError(f"{file} is not what `callsheet backup` writes.")
    tables = await _tables(database)
    if tables:
        raise StartError(
            f"The database has tables already ({', '.join(tables[:3])} ...), and nothing is written over: "
            "name an empty one, or a new folder by --data."
        )
    await _run(database, "pg_restore", "--exit-on-error", "--single-transaction", str(file))
    await leap(database.dsn)


def _known_folder(path: Path) -> DataFolder:
    folder = DataFolder(path=path.expanduser().absolute())
    if not folder.lock.exists():
        raise StartError(f"{folder.path} is no data folder of a Callsheet: name it by --data.")
    return folder


def _check_new(file: Path) -> None:
    if file.exists():
        raise StartError(f"{file} exists, and no backup is written over: name another file.")


async def _named(environment: Mapping[str, str]) -> Database:
    return Database(dsn=environment[DATABASE_URL], programs=await find_programs(environment, None))


async def _tables(database: Database) -> list[str]:
    try:
        return await tables_of(database.dsn)
    except OSError as error:
        raise StartError(f"The database does not answer: {error.strerror or error}.") from error


async def _run(database: Database, name: str, *arguments: str) -> None:
    target, password = without_password(database.dsn)
    program = Program(
        arguments=(
            str(database.programs / name),
            "--no-owner",
            "--no-privileges",
            "--no-password",
            f"--dbname={target}",
            *arguments,
        ),
        environment={**PROGRAM_ENVIRONMENT, "PGPASSWORD": password},
        folder=str(Path.cwd()),
    )
    status, output = await run_program(program, deadline_s=COPY_LIMIT_S)
    if status != 0:
        raise StartError(f"{name} ended with status {status}: {' '.join(output.split())[:1000]}")


def without_password(dsn: str) -> tuple[str, str]:
    """Return *dsn* without its password, which a program's arguments would show, and the password."""
    parts = urlsplit(dsn)
    who, _, where = parts.netloc.rpartition("@")
    user = who.partition(":")[0]
    netloc = f"{user}@{where}" if user else where
    return urlunsplit(parts._replace(netloc=netloc)), unquote(parts.password or "")
