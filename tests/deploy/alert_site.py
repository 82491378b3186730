"""A whole Callsheet with a made-up card and an Immich server, and what can be done to its parts."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import httpx
from callsheet_scheduler.local.data_folder import reserve_port
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from pydantic import BaseModel

from tests.support.cards import VARIABLE, Driver, card, compiled
from tests.support.command_up import RunningUp, running_up
from tests.support.immich_process import start as start_controller
from tests.support.immich_server import standing_in
from tests.support.media import ffmpeg, film, quadrants
from tests.support.patience import PATIENCE_S
from tests.support.worker_processes import descendants_of

SERVICES: Final = {
    "callsheet-scheduler": ("scheduler",),
    "callsheet-gateway": ("gateway",),
    "callsheet-worker": ("cpu-worker", "gpu-worker"),
}
"""The services that have logs, by the name of their job in prometheus.yml."""
PORT: Final = re.compile(r'"ops_port": (\d+)')
FILM: Final = "film.mp4"
LOOK_S: Final = 0.1


class _Job(BaseModel):
    """A job as REST tells of it."""

    id: str
    status: str


class _Worker(BaseModel):
    """A worker as the command line tells of it."""

    id: str


class Site:
    """What runs, and what it can be told."""

    def __init__(
        self, folder: Path, up: RunningUp, rest: httpx.AsyncClient, database: EmbeddedPostgres, driver: Driver
    ) -> None:
        self.driver = driver
        self._folder = folder
        self._up = up
        self._rest = rest
        self._database = database
        self._immich = AsyncExitStack()
        self._immich_port = 0
        self._controller: asyncio.subprocess.Process | None = None
        self._controller_port = 0

    def ports(self) -> dict[str, list[int]]:
        """Return where everybody serves metrics, by the names of jobs in prometheus.yml."""
        ports = {
            job: [int(said[-1]) for name in names if (said := self._said_ports(name))]
            for job, names in SERVICES.items()
        }
        return {**ports, "callsheet-immich": [self._controller_port]}

    def _said_ports(self, service: str) -> list[str]:
        return PORT.findall((self._up.data / "logs" / f"{service}.log").read_text(encoding="utf-8"))

    # ---- jobs ----

    async def submit(self, job_type: str, **params: str) -> str:
        """Submit a job over REST and return its id."""
        answer = await self._rest.post("/api/media/jobs", json={"type": job_type, "params": params})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return _Job.model_validate_json(answer.content).id

    async def completed(self, job_id: str) -> None:
        """Wait until a job is completed."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self._rest.get(f"/api/media/jobs/{job_id}")
                if _Job.model_validate_json(answer.content).status == "completed":
                    return
                await asyncio.sleep(LOOK_S)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job over REST."""
        answer = await self._rest.post(f"/api/media/jobs/{job_id}/cancel")
        assert answer.is_success, answer.text

    async def command(self, *words: str) -> str:
        """Run a command of ``callsheet`` and return what it printed."""
        return await self._up.command(*words)

    async def workers(self) -> list[str]:
        """Return the identities of the workers."""
        said = await self.command("fleet", "list", "--json")
        return [_Worker.model_validate_json(line).id for line in said.splitlines()]

    def encoders(self) -> list[int]:
        """Return the processes that encode for attempts."""
        commands = self._up.below().items()
        return [pid for pid, command in commands if "/ffmpeg-" in command and "-progress" in command]

    # ---- the database ----

    async def sql(self, statement: str) -> None:
        """Run a statement as the owner of the tables, who is no service of ours."""
        connection = await asyncpg.connect(self._database.dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @contextmanager
    def database_stopped(self) -> Generator[None]:
        """Have all processes of the database stand still for the time of the block."""
        pid = self._database.pid
        assert pid is not None
        stopped = [pid, *descendants_of(pid)]
        _signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(stopped, signal.SIGCONT)

    # ---- processes ----

    async def kill_scheduler(self) -> None:
        """Kill the scheduler and wait until the one that ``up`` starts in its place says its port."""
        before = len(self._said_ports("scheduler"))
        os.kill(self._up.pid_of("callsheet_scheduler.main"), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while len(self._said_ports("scheduler")) == before:  # noqa: ASYNC110 -- another process
                await asyncio.sleep(LOOK_S)

    async def start_immich(self) -> None:
        """Start the Immich server, every time at the same address."""
        found = await self._immich.enter_async_context(standing_in(port=self._immich_port))
        self._immich_port = int(found.address.rpartition(":")[2])

    async def end_immich(self) -> None:
        """End the Immich server."""
        await self._immich.aclose()

    async def start_controller(self) -> None:
        """Start the controller of the Immich server, its metrics every time at the same address."""
        with reserve_port(self._controller_port) as reserved:
            self._controller_port = reserved.getsockname()[1]
        self._controller = await start_controller(
            self._folder,
            f"http://127.0.0.1:{self._immich_port}",
            "run",
            CALLSHEET_OPS_PORT=str(self._controller_port),
        )

    async def kill_controller(self) -> None:
        """Kill the controller, if it runs."""
        if self._controller is not None:
            with suppress(ProcessLookupError):
                self._controller.kill()
            await self._controller.communicate()


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def lay_out(folder: Path) -> tuple[Path, Path]:
    """Make the media that are scanned, and beside them a long film that is not."""
    media, films = folder / "media", folder / "films"
    for made in (media, films):
        made.mkdir()
    quadrants(320, 240).save(media / "house.png")
    film(films / "part.mp4", seconds=5, size="1920x1080")
    ffmpeg("-stream_loop", "100", "-i", str(films / "part.mp4"), "-c", "copy", str(films / FILM))
    return media, films


@asynccontextmanager
async def running_site(folder: Path) -> AsyncGenerator[Site]:
    """Start everything; at the end nothing of it is left."""
    media, films = lay_out(folder)
    driver = Driver(folder / "cards")
    driver.set(card())
    (folder / "database").mkdir()
    database = EmbeddedPostgres(folder / "database")
    async with AsyncExitStack() as stack:
        environment = {
            "DATABASE_URL": await stack.enter_async_context(database),
            "LD_LIBRARY_PATH": str(compiled(folder / "nvml").parent),
            VARIABLE: str(driver.path),
            "CALLSHEET_GPU_SEES_PIDS": "true",
            "CALLSHEET_DISTRIBUTE": "never",
            "CALLSHEET_ROOTS": json.dumps({"films": {"path": str(films)}}),
        }
        started = running_up(folder / "data", "--media", str(media), environment=environment)
        up = await stack.enter_async_context(started)
        rest = httpx.AsyncClient(base_url=await up.ready(), timeout=PATIENCE_S, trust_env=False)
        await stack.enter_async_context(rest)
        rest.headers["Authorization"] = f"Bearer {up.token()}"
        site = Site(folder, up, rest, database, driver)
        stack.push_async_callback(site.end_immich)
        stack.push_async_callback(site.kill_controller)
        await site.start_immich()
        await site.start_controller()
        yield site
