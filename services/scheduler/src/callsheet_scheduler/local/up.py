"""Runs a whole Callsheet on this machine, from the first process to the last."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.cli.progress import follow_library
from callsheet.cli.summary import print_summary
from callsheet.client import Client, Patience
from callsheet.errors import CallsheetError
from callsheet.ids import new_job_id
from callsheet.private_files import private_secret, write_private
from callsheet.service.clock import SystemClock
from callsheet.v1.job_pb2 import NewJob
from callsheet_scheduler.local.data_folder import DataFolder, check_media, open_data_folder, reserve_port
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.logs import keep_logs_small
from callsheet_scheduler.local.nightly import NIGHTLY, add_nightly
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.processes import METERED
from callsheet_scheduler.local.ready import wait_until_ready
from callsheet_scheduler.local.services import Site, start_order
from callsheet_scheduler.local.spawn import Program, run_program
from callsheet_scheduler.local.supervise import Supervisor, cancelled

SAMPLES_LIMIT_S: Final = 120.0
PATIENCE: Final = Patience(total_s=120.0, try_s=5.0, pause_s=0.02, pause_max_s=0.5)
"""A scheduler that starts, or starts again, is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller asked for."""

    media: Path | None
    """Without it a sample library is made."""
    port: int
    """Of REST; 0 takes a free one."""
    metrics_port: int
    """Of the first process that serves metrics, the others follow; 0 takes free ones."""
    data: Path
    environment: Mapping[str, str]


class Signals:
    """The wish to stop: the first signal asks for it, the second for haste."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.first: signal.Signals | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._take, number)

    def _take(self, number: signal.Signals) -> None:
        if self.first is None:
            self.first = number
        (self.hurry if self.stop.is_set() else self.stop).set()


async def up(wish: Wish) -> int:
    """Start everything, serve until a signal, end everything, and return the exit code.

    0 after a stop that was asked for; 130 or 143 when the signal came before everything was ready.

    Raises:
        StartError: Callsheet cannot start as asked. Nothing is left running.
    """
    signals = Signals()
    async with AsyncExitStack() as stack:
        start = _Start(wish, signals, stack)
        starting = asyncio.create_task(start.run())
        stopping = asyncio.create_task(signals.stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return 128 + (signals.first or signal.SIGTERM)
            client = starting.result()
            start.supervisor.settle()
            await _schedule(client, wish.environment)
            sys.stdout.write(f"Callsheet is ready at {start.address}\n")
            sys.stdout.flush()
            await _serve(client, start.supervisor.log_of("any").parent, stopping)
        finally:
            await cancelled(starting)
            await cancelled(stopping)
        return 0


async def _schedule(client: Client, environment: Mapping[str, str]) -> None:
    for nightly in NIGHTLY:
        try:
            await add_nightly(client, nightly, environment)
        except CallsheetError as error:
            _say(f"The schedule {nightly.name} is not added: {nightly.setting}: {error.message}")


async def _serve(client: Client, logs: Path, stopping: "asyncio.Task[bool]") -> None:
    work = (asyncio.create_task(_fill(client)), asyncio.create_task(keep_logs_small(logs)))
    try:
        await asyncio.wait({stopping})
    finally:
        for one in work:
            await cancelled(one)
    _say("Callsheet stops ...")


class _Start:
    """The steps of one start; what each step began is ended by *stack*, in the opposite order."""

    def __init__(self, wish: Wish, signals: Signals, stack: AsyncExitStack) -> None:
        self._wish = wish
        self._signals = signals
        self._stack = stack
        self._data, lock = open_data_folder(wish.data)
        stack.callback(os.close, lock)
        self._media = check_media(wish.media, self._data.path) if wish.media else self._data.samples
        self._port = self._reserved(wish.port)
        self.supervisor = Supervisor(self._data.logs, SystemClock(), _say)

    @property
    def address(self) -> str:
        """The address of REST."""
        return f"http://127.0.0.1:{self._port}"

    async def run(self) -> Client:
        """Start everything and return a client once all is ready.

        Raises:
            StartError: Something does not start.
        """
        _make_tokens(self._data)
        if not self._wish.media:
            await _ensure_samples(self._data)
        site = Site(
            data=self._data,
            media=self._media,
            dsn=await self._database(),
            scheduler_port=self._reserved(0),
            gateway_port=self._port,
            metrics_ports=self._metrics_ports(),
            surroundings=self._wish.environment,
        )
        for services in start_order(site):
            names = [service.name for service in services]
            self._stack.push_async_callback(self.supervisor.stop, *names, hurry=self._signals.hurry)
            for service in services:
                await self.supervisor.start(service)
        return await self._connected(site)

    def _reserved(self, wanted: int, option: str = "PORT=") -> int:
        port: int = self._stack.enter_context(reserve_port(wanted, option)).getsockname()[1]
        return port

    def _metrics_ports(self) -> dict[str, int]:
        first = self._wish.metrics_port
        if not first:
            return {}
        ports = {
            name: self._reserved(port, "METRICS_PORT=") for port, name in enumerate(METERED, start=first)
        }
        _say(
            "Metrics: " + ", ".join(f"{name} http://127.0.0.1:{port}/metrics" for name, port in ports.items())
        )
        return ports

    async def _connected(self, site: Site) -> Client:
        token = self._data.join_token.read_text(encoding="ascii").strip()
        client = Client(site.scheduler, token=token, patience=PATIENCE)
        self._stack.push_async_callback(client.close)
        await self.supervisor.unless_failed(wait_until_ready(client, self._port))
        write_private(self._data.connection, site.connection())
        self._stack.callback(self._data.connection.unlink, missing_ok=True)
        return client

    async def _database(self) -> str:
        given = self._wish.environment.get("DATABASE_URL")
        if given:
            return given
        log = self.supervisor.log_of("database")
        postgres = EmbeddedPostgres(self._data.path, log=log, environment=self._wish.environment)
        self._stack.push_async_callback(postgres.close)
        dsn = await postgres.start()
        self._stack.push_async_callback(self.supervisor.release, "database")
        self.supervisor.keep_database(postgres)
        return dsn


async def _ensure_samples(data: DataFolder) -> None:
    if data.samples.exists():
        return
    _say("No MEDIA was given: a small sample library is made first.")
    staged = data.samples.with_name("samples.new")
    program = Program(
        arguments=(sys.executable, "-m", "callsheet.worker.samples", str(staged)), environment=os.environ
    )
    try:
        status, output = await run_program(program, deadline_s=SAMPLES_LIMIT_S)
    except TimeoutError:
        raise StartError("The sample library takes too long to make: give MEDIA= (--media).") from None
    if status != 0:
        reason = (output.strip().splitlines() or ["no reason was given"])[-1]
        raise StartError(f"The sample library cannot be made ({reason}): give MEDIA= (--media).")
    staged.rename(data.samples)


def _make_tokens(data: DataFolder) -> None:
    try:
        token, made = private_secret(data.admin_token)
        private_secret(data.join_token)
    except OSError as error:
        raise StartError(f"The tokens in {data.path} cannot be used: {error.strerror or error}.") from error
    if made:
        _say(f"The admin token, kept in {data.admin_token}: {token}")


async def _fill(client: Client) -> None:
    """Scan the library, show how far it is, and say what came of it; a failure leaves all running."""
    scan = NewJob(id=new_job_id(), type="scan", params_json=json.dumps({"root": "library"}))
    try:
        await client.submit(scan)
        print_summary(await follow_library(client, scan.id))
    except CallsheetError as error:
        _say(f"The library is not complete: {error.message}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
