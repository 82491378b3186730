"""Starts the whole system on this machine, scans the media, and serves until told to stop."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.cli.progress import follow_library
from callsheet.cli.summary import print_summary
from callsheet.client import Client
from callsheet.errors import CallsheetError
from callsheet.v1.job_pb2 import NewJob
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.layout import DataFolder, check_media, check_port
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.private import private_secret, write_private
from callsheet_scheduler.local.supervise import Child, Supervisor

#: Seconds until everything must be connected.
READY_LIMIT_S: Final = 60.0

#: Seconds between two looks while something starts.
LOOK_S: Final = 0.05

#: The CPU and the GPU worker.
WORKERS: Final = 2

WORKER_STOP_LIMIT_S: Final = 15.0
STOP_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for."""

    media: Path | None
    port: int
    data: Path


class Stop:
    """The wish to stop: the first signal asks for it, the second for haste."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signal)

    def _signal(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def up(wish: Wish) -> int:
    """Run everything until a signal; return the exit code.

    Raises:
        StartError: Something stands in the way; says what and the remedy.
    """
    stop = Stop()
    folder = DataFolder(path=wish.data.absolute())
    media = None if wish.media is None else check_media(wish.media)
    check_port(wish.port)
    folder.make()
    lock = folder.lock()
    try:
        return await _up(wish, stop, folder, media)
    finally:
        os.close(lock)


async def _up(wish: Wish, stop: Stop, folder: DataFolder, media: Path | None) -> int:
    admin_token, new = private_secret(folder.path / "admin-token")
    join_token, _ = private_secret(folder.path / "join-token")
    if media is None:
        media = folder.samples
        await _make_samples(media)
    if new:
        say(f"The admin token is {admin_token} (kept in {folder.path / 'admin-token'}).")
    async with AsyncExitStack() as stack:
        given = os.environ.get("DATABASE_URL")
        dsn = given if given else await stack.enter_async_context(_database(folder))
        supervisor = Supervisor(folder.logs, say)
        stack.push_async_callback(supervisor.stop, stop.hurry)
        starting = asyncio.create_task(_start(supervisor, folder, media, dsn, (wish.port, join_token)))
        try:
            address = await _first(starting, stop.asked, supervisor)
        finally:
            starting.cancel()
            with suppress(asyncio.CancelledError, CallsheetError):
                await starting
        if address is None:
            return 130
        client = await stack.enter_async_context(Client(address, token=join_token))
        say(f"Callsheet is ready at http://127.0.0.1:{wish.port}")
        scanning = asyncio.create_task(_scan(client))
        await stop.asked.wait()
        scanning.cancel()
        with suppress(asyncio.CancelledError):
            await scanning
        say("Stopping ...")
    return 0


@asynccontextmanager
async def _database(folder: DataFolder) -> AsyncIterator[str]:
    async with EmbeddedPostgres(folder.path, log=folder.logs / "postgres.log") as dsn:
        yield dsn


async def _first(
    starting: "asyncio.Task[str]",
    stopped: asyncio.Event,
    supervisor: Supervisor,
) -> str | None:
    """Return the scheduler's address once everything is ready, None when told to stop before.

    Raises:
        StartError: A process cannot run, or it took too long.
    """
    waits = {asyncio.create_task(stopped.wait()), asyncio.create_task(supervisor.failed.wait())}
    done, _ = await asyncio.wait(
        {starting, *waits},
        timeout=READY_LIMIT_S,
        return_when=asyncio.FIRST_COMPLETED,
    )
    for wait in waits:
        wait.cancel()
    if starting in done:
        return starting.result()
    if supervisor.failed.is_set():
        raise StartError(supervisor.reason)
    if stopped.is_set():
        return None
    message = f"Callsheet did not get ready within {READY_LIMIT_S:.0f} s; its logs say why"
    raise StartError(message)


async def _start(
    supervisor: Supervisor,
    folder: DataFolder,
    media: Path,
    dsn: str,
    rest: tuple[int, str],
) -> str:
    """Start the processes and return the scheduler's address once all of them are connected."""
    port, join_token = rest
    port_file = folder.path / "scheduler-port"
    port_file.unlink(missing_ok=True)
    token_file = str(folder.path / "join-token")
    common = {"CALLSHEET_JOIN_TOKEN_FILE": token_file}
    scheduler = common | {
        "CALLSHEET_DATABASE_URL": dsn,
        "CALLSHEET_LISTEN": f"127.0.0.1:{_kept_port(folder)}",
        "CALLSHEET_PORT_FILE": str(port_file),
    }
    await supervisor.start(_child("scheduler", "callsheet_scheduler.main", scheduler, STOP_LIMIT_S))
    await _until(port_file.exists)
    scheduler_port = port_file.read_text(encoding="ascii").strip()
    (folder.path / "scheduler-last-port").write_text(scheduler_port, encoding="ascii")
    address = f"127.0.0.1:{scheduler_port}"
    places = {"library": str(media), "derivatives": str(folder.derivatives), "outputs": str(folder.outputs)}
    roots = {name: {"path": path, "writable": name != "library"} for name, path in places.items()}
    joined = common | {"CALLSHEET_SCHEDULER": address, "CALLSHEET_ROOTS": json.dumps(roots)}
    for kind in ("cpu", "gpu"):
        environment = joined | {
            "CALLSHEET_SPOOL": str(folder.spool / kind),
            "CALLSHEET_HOST": _host(),
            "CALLSHEET_DRAIN_GRACE_S": "5",
        }
        if kind == "gpu":
            environment |= {"CALLSHEET_SOFTWARE_GPU": "true", "CALLSHEET_CHILDREN": "0"}
        module = f"callsheet_{kind}_worker.main"
        await supervisor.start(_child(f"{kind}-worker", module, environment, WORKER_STOP_LIMIT_S))
    gateway = joined | {
        "CALLSHEET_LISTEN": f"127.0.0.1:{port}",
        "CALLSHEET_ADMIN_TOKEN_FILE": str(folder.path / "admin-token"),
    }
    await supervisor.start(_child("gateway", "callsheet_gateway.main", gateway, STOP_LIMIT_S))
    _write_connection(folder, address, port, places)
    async with Client(address, token=join_token) as client:
        while sum(worker.connected for worker in (await client.fleet()).workers) < WORKERS:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(LOOK_S)
    while not await _answers(port):  # noqa: ASYNC110 -- another process
        await asyncio.sleep(LOOK_S)
    return address


def _child(name: str, module: str, environment: dict[str, str], stop_limit_s: float) -> Child:
    return Child(name=name, module=module, environment=environment, stop_limit_s=stop_limit_s)


def _kept_port(folder: DataFolder) -> int:
    """Return the scheduler's port of the last start where it is free, so that nobody has to look for it."""
    try:
        port = int((folder.path / "scheduler-last-port").read_text(encoding="ascii"))
        check_port(port)
    except (OSError, ValueError, StartError):
        return 0
    return port


def _write_connection(folder: DataFolder, address: str, port: int, roots: dict[str, str]) -> None:
    content = {
        "scheduler": address,
        "gateway": f"http://127.0.0.1:{port}",
        "join_token_file": str(folder.path / "join-token"),
        "roots": roots,
    }
    write_private(folder.connection, json.dumps(content, indent=2) + "\n")


async def _answers(port: int) -> bool:
    """Return whether REST says that it is ready."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
        writer.close()
    except OSError:
        return False
    return b" 200 " in status


async def _scan(client: Client) -> None:
    """Scan the library and show how far it is; a failure is said and leaves everything running."""
    try:
        scan = await client.submit(NewJob(type="scan", params_json="{}", priority=3))
        print_summary(await follow_library(client, scan.id))
        say("Serving. Press Ctrl-C to stop.")
    except CallsheetError as error:
        say(f"The scan did not end well: {error.message}")


async def _make_samples(folder: Path) -> None:
    if (folder / ".complete").exists():
        return
    say("No MEDIA was given: making a small sample library.")
    code = (
        "import sys; from pathlib import Path; from callsheet.worker.ffmpeg import ffmpeg_path; import os; "
        "from callsheet.worker.samples import make_samples; "
        "make_samples(Path(sys.argv[1]), ffmpeg_path(os.environ))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        str(folder),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        reason = errors.decode(errors="replace").strip().splitlines()[-1:]
        message = f"the sample library cannot be made: {' '.join(reason)}; give a folder with MEDIA="
        raise StartError(message)
    (folder / ".complete").touch()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- what is waited for happens in another process
        await asyncio.sleep(LOOK_S)


def _host() -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in socket.gethostname())[
        :128
    ]
