"""Runs a PostgreSQL server of our own that ends with this process."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

from callsheet.within import within
from callsheet_scheduler.local.accounts import Account, database_account
from callsheet_scheduler.local.binaries import PROGRAM_ENVIRONMENT, find_programs
from callsheet_scheduler.local.cluster import DATABASE, ROLE, clear_leftovers, ensure_cluster, explain
from callsheet_scheduler.local.errors import InUseError, StartError
from callsheet_scheduler.local.home import Home, open_home
from callsheet_scheduler.local.spawn import Program, start_program

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "15s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
    "cluster_name": "callsheet",
}
"""What a small queue on one machine wants. The server is reached by its socket alone."""

START_LIMIT_S: Final = 300.0
"""How long recovery after a crash may take."""
STOP_LIMIT_S: Final = 20.0
"""How long a fast stop may take before the server is told to stop at once."""
_LOG_TAIL_BYTES: Final = 16 * 1024


class EmbeddedPostgres:
    """A PostgreSQL server whose files belong to a data folder.

    ``async with EmbeddedPostgres(data) as dsn`` runs it for the block. It starts and stops any number
    of times; the DSN stays. When this process ends, however it ends, the server ends as well.
    """

    def __init__(
        self,
        data: Path,
        *,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            data: The folder it belongs to; must exist.
            log: Where the server writes its log; by default ``postgres.log`` in *data*.
            settings: PostgreSQL settings that replace or join ``SETTINGS``.
            environment: Where CALLSHEET_PG_BIN is looked up; by default the process's own.
        """
        self._data = data
        self._log = log or data / "postgres.log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._environment = os.environ if environment is None else environment
        self._account: Account | None = None
        self._programs: Path | None = None
        self._home: Home | None = None
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> str:
        """Start the server and return its DSN."""
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and give the folder free."""
        await self.close()

    @property
    def home(self) -> Path:
        """The folder that holds the cluster. Only after the first start."""
        return self._opened().path

    @property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs in use. Only after the first start."""
        if self._programs is None:
            raise StartError("The database was not started yet.")
        return self._programs

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.returncode is None

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of *database*, with the password in it. Only after the first start."""
        home = self._opened()
        password = home.password.read_text(encoding="utf-8").strip()
        host = quote(str(home.sockets), safe="")
        return f"postgresql://{ROLE}:{quote(password)}@/{quote(database)}?host={host}"

    async def start(self) -> str:
        """Start the server, making its cluster at the first time, and return the DSN once it answers.

        Raises:
            StartError: It cannot run here; nothing is left running.
        """
        if self.running:
            return self.dsn()
        try:
            await self._prepare()
            await self._launch()
        except OSError as error:
            await self.close()
            message = f"The database cannot start in {self._data}: {error.strerror or error}."
            raise StartError(message) from error
        except BaseException:
            await self.close()
            raise
        return self.dsn()

    async def stop(self) -> None:
        """End the server cleanly: sessions are cut, everything is on disk."""
        await self._end(signal.SIGINT, STOP_LIMIT_S)

    async def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        await self._end(signal.SIGKILL, STOP_LIMIT_S)

    async def restart(self) -> str:
        """Stop and start the server; the DSN stays."""
        await self.stop()
        return await self.start()

    async def wait(self) -> int:
        """Return the exit status once the server has ended; 0 if it does not run."""
        return await self._process.wait() if self._process else 0

    async def close(self) -> None:
        """Stop the server and give its folder free."""
        await self.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _opened(self) -> Home:
        if self._home is None:
            raise StartError("The database was not started yet.")
        return self._home

    async def _prepare(self) -> None:
        """Do once what needs no repetition at a restart, and clear what a crash left."""
        if self._home is None:
            self._account = database_account(self._data.resolve() / "postgres" / "cluster")
            self._home = await open_home(self._data, self._account)
        if self._programs is None:
            self._programs = await find_programs(self._environment, self._account)
        if self._lock is None:
            self._lock = _locked(self._home)
        await clear_leftovers(self._home.cluster)
        durable = self._settings["fsync"] == "on"
        await ensure_cluster(self._home, self._programs, self._account, durable=durable)
        if not self._home.password.exists():
            message = (
                f"The password file {self._home.password} is missing: put it back, "
                f"or remove {self._home.path} to begin anew."
            )
            raise StartError(message)

    async def _launch(self) -> None:
        home = self._opened()
        settings = {**self._settings, "unix_socket_directories": str(home.sockets)}
        arguments = [str(self.programs / "postgres"), "-D", str(home.cluster)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        program = Program(
            arguments=tuple(arguments),
            environment=PROGRAM_ENVIRONMENT,
            account=self._account,
            death_signal=signal.SIGQUIT,
        )
        (home.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        log_start = self._log.stat().st_size if self._log.exists() else 0
        self._process = await start_program(program, log=self._log)
        await self._until_ready(home.cluster / "postmaster.pid", log_start)

    async def _until_ready(self, state: Path, log_start: int) -> None:
        """Wait until the server says in its pid file that it takes connections."""
        try:
            async with within(START_LIMIT_S):
                while not _is_ready(state):
                    if not self.running:
                        raise StartError(explain(_tail(self._log, log_start), self.home))
                    await asyncio.sleep(0.01)
        except TimeoutError:
            message = (
                f"The database in {self.home} was not ready within {START_LIMIT_S:.0f} s: "
                f"its log is {self._log}."
            )
            raise StartError(message) from None

    async def _end(self, first: signal.Signals, limit_s: float) -> None:
        process = self._process
        if process is None:
            return
        for end in (first, signal.SIGQUIT, signal.SIGKILL):
            if process.returncode is not None:
                break
            process.send_signal(end)
            try:
                async with within(limit_s):
                    await process.wait()
            except TimeoutError:
                continue
        self._process = None


def _locked(home: Home) -> int:
    """Return a descriptor that holds the home's lock.

    Raises:
        StartError: Another process holds it.
    """
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        message = (
            f"Another process runs the database in {home.path}: stop it first or choose another data folder."
        )
        raise InUseError(message) from None
    return descriptor


def _is_ready(state: Path) -> bool:
    """Read the server's pid file: its eighth line is the state (``LOCK_FILE_LINE_PM_STATUS``)."""
    try:
        lines = state.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 -- the eighth line is the state


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(start, end - _LOG_TAIL_BYTES))
        return file.read().decode(errors="replace")
