"""Makes a PostgreSQL cluster, and clears away what an earlier server left of itself."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Final

from callsheet.private_files import private_secret, write_private
from callsheet.within import within
from callsheet_scheduler.local.accounts import Account
from callsheet_scheduler.local.binaries import PROGRAM_ENVIRONMENT
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.home import Home
from callsheet_scheduler.local.spawn import Program, run_program

ROLE: Final = "callsheet"
DATABASE: Final = "callsheet"
MAKING_LIMIT_S: Final = 120.0
LEFTOVER_LIMIT_S: Final = 5.0
"""How long a server that an earlier start left behind may take to end before it is killed."""


async def ensure_cluster(home: Home, programs: Path, account: Account | None, *, durable: bool) -> None:
    """Make the cluster unless it is there: checksums, scram, locale C, one role, one database.

    It appears under its name when it is complete, so an interrupted start leaves none.

    Raises:
        StartError: It cannot be made, or the one that is there belongs to another version.
    """
    if home.cluster.exists():
        await _check_version(home, programs)
        return
    staged = home.path / "cluster.new"
    secret_file = home.path / "password.new"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        secret, _ = private_secret(home.password)
        write_private(secret_file, secret)
        if account:
            os.chown(secret_file, account.uid, account.gid)
        await _make_cluster(staged, secret_file, programs, account, durable=durable)
        staged.rename(home.cluster)
    except OSError as error:
        message = f"The database cannot be made in {home.path}: {error.strerror or error}."
        raise StartError(message) from error
    finally:
        secret_file.unlink(missing_ok=True)
        shutil.rmtree(staged, ignore_errors=True)


async def _make_cluster(
    staged: Path, secret_file: Path, programs: Path, account: Account | None, *, durable: bool
) -> None:
    initdb = (
        str(programs / "initdb"),
        f"--pgdata={staged}",
        f"--username={ROLE}",
        f"--pwfile={secret_file}",
        "--auth=scram-sha-256",
        "--data-checksums",
        "--locale=C",
        "--encoding=UTF8",
        "--no-instructions",
        *(() if durable else ("--no-sync",)),
    )
    await _step(initdb, account, staged.parent)
    create = (
        "/bin/sh",
        "-c",
        'printf "%s\\n" "$1" | "$2" --single -D "$3" -c "fsync=$4" -c exit_on_error=on postgres',
        "sh",
        f"CREATE DATABASE {DATABASE}",
        str(programs / "postgres"),
        str(staged),
        "on" if durable else "off",
    )
    await _step(create, account, staged.parent)


async def _step(arguments: tuple[str, ...], account: Account | None, folder: Path) -> None:
    program = Program(arguments=arguments, environment=PROGRAM_ENVIRONMENT, account=account)
    try:
        status, output = await run_program(program, deadline_s=MAKING_LIMIT_S)
    except TimeoutError:
        message = (
            f"The database could not be made in {folder} within {MAKING_LIMIT_S:.0f} s: the disk is too slow."
        )
        raise StartError(message) from None
    if status != 0:
        raise StartError(explain(output, folder))


def explain(output: str, folder: Path) -> str:
    """Return the one sentence that says why PostgreSQL, which wrote *output*, could not go on."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return f"The disk that holds {folder} is full: free some space and start again."
    if "could not resize shared memory" in output or "Cannot allocate memory" in output:
        return "There is not enough memory for PostgreSQL: free some and start again."
    marks = ("FATAL:", "PANIC:", "error:", "cannot run")
    lines = [line.strip() for line in output.splitlines() if any(mark in line for mark in marks)]
    reason = lines[-1] if lines else (output.strip().splitlines() or ["it said nothing"])[-1]
    return f"PostgreSQL cannot run in {folder}: {reason.rstrip('.')}."


async def _check_version(home: Home, programs: Path) -> None:
    try:
        kept = (home.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError as error:
        message = f"The database in {home.cluster} cannot be read: {error.strerror or error}."
        raise StartError(message) from error
    program = Program(arguments=(str(programs / "postgres"), "--version"), environment=PROGRAM_ENVIRONMENT)
    _, output = await run_program(program, deadline_s=10)
    version = next((word for word in output.split() if word[:1].isdigit()), "").split(".")[0]
    if version != kept:
        message = (
            f"The database in {home.cluster} was made by PostgreSQL {kept} and these programs are"
            f" version {version}: name the right ones in CALLSHEET_PG_BIN or choose another data folder."
        )
        raise StartError(message)


async def clear_leftovers(cluster: Path) -> None:
    """End the server that an earlier start left running on *cluster*, and forget its process id.

    The caller holds the home's lock, so no server runs there that anybody still wants. A process id
    that now belongs to some other program is never signalled.
    """
    for death_signal in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _servers(cluster):
            _signal(pid, death_signal)
        if await _ended(cluster):
            break
    (cluster / "postmaster.pid").unlink(missing_ok=True)


async def _ended(cluster: Path) -> bool:
    try:
        async with within(LEFTOVER_LIMIT_S):
            while _servers(cluster):  # noqa: ASYNC110 -- processes that are not our children
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


def _servers(cluster: Path) -> list[int]:
    """Return the process ids of PostgreSQL's processes that work in *cluster*."""
    return [int(entry.name) for entry in Path("/proc").glob("[1-9]*") if _serves(entry, cluster)]


def _serves(process: Path, cluster: Path) -> bool:
    try:
        folder = (process / "cwd").readlink()
        program = (process / "exe").readlink()
    except OSError:
        return False
    return folder == cluster and program.name.startswith("postgres")


def _signal(pid: int, death_signal: signal.Signals) -> None:
    try:
        os.kill(pid, death_signal)
    except ProcessLookupError:
        return
