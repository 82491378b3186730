"""Everything that a round strikes: a database, schedulers, workers, and the links between them."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.spawn import Program, start_program

from tests.nemesis.database import connected
from tests.nemesis.link import Link, Place
from tests.nemesis.machine import MovedClock, Namespace
from tests.nemesis.plan import SCHEDULERS, WORKERS
from tests.nemesis.worker import MADE
from tests.support.patience import PATIENCE_S
from tests.support.processes import until

ROOT: Final = Path(__file__).parents[2]
SOCKET: Final = ".s.PGSQL.5432"
LOOPBACK: Final = "127.0.0.1"
HOST: Final = "atlas"
SLOTS: Final = 5
LEASE_TTL_S: Final = 2.0
LIMIT: Final = 6
"""Jobs at once on the host: fewer than the slots of its workers."""

SCHEDULER_SETTINGS: Final[Mapping[str, str]] = {
    "CALLSHEET_LEASE_TTL_S": str(LEASE_TTL_S),
    "CALLSHEET_LEADER_TTL_S": "2",
    "CALLSHEET_LIMIT_CPU": str(LIMIT),
    "CALLSHEET_RETRY_BASE_S": "0.05",
    "CALLSHEET_LOG_LEVEL": "info",
}


@dataclass(slots=True, kw_only=True, eq=False)
class Player:
    """One process that is started, struck, and started again."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    before: Sequence[str] = ()
    """What goes before the command."""
    clock: MovedClock | None = None
    starts: int = 0
    process: Process | None = None

    @property
    def runs(self) -> bool:
        """Whether its process is there, stopped or not."""
        return self.process is not None and self.process.returncode is None

    @property
    def has_ended(self) -> bool:
        """Whether it does not run."""
        return not self.runs

    async def start(self) -> None:
        """Start it, unless it runs."""
        if self.runs:
            return
        self.starts += 1
        clock = self.clock.environment if self.clock else dict[str, str]()
        python = (sys.executable, *(part.replace("START", str(self.starts)) for part in self.arguments))
        program = Program(
            arguments=(*self.before, *python),
            environment={**os.environ, **self.environment, **clock},
            death_signal=signal.SIGKILL,
            folder=str(ROOT),
        )
        self.process = await start_program(program, log=self.log)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is there."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> None:
        """End it without a chance to clean up."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def ended(self) -> None:
        """Wait for its end."""
        if self.process is not None:
            await self.process.wait()


@dataclass(slots=True, kw_only=True, eq=False)
class Scheduler:
    """A scheduler, with the stretch of network before and behind it."""

    player: Player
    port_file: Path
    database: Link
    """From it to the database."""
    public: Link
    """From clients, and from workers that were sent to it, to it."""
    own: list[Link] = field(default_factory=list[Link])
    """From each worker to it."""
    port: int = 0

    async def start(self) -> None:
        """Start it, on the port of the time before, and wait until it listens."""
        if self.player.runs:
            return
        self.port_file.unlink(missing_ok=True)
        listen = {"CALLSHEET_LISTEN": f"{LOOPBACK}:{self.port}"}
        self.player.environment = dict(self.player.environment) | listen
        await self.player.start()
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: self.port_file.exists() or self.player.has_ended)
        if not self.port_file.exists():
            return
        self.port = int(self.port_file.read_text(encoding="ascii"))
        for link in (self.public, *self.own):
            link.target = Place(host=LOOPBACK, port=self.port)


@dataclass(slots=True, kw_only=True, eq=False)
class Stage:
    """One round's processes."""

    dsn: str
    """Of the round's database, past all links."""
    postgres: EmbeddedPostgres
    schedulers: list[Scheduler]
    workers: list[Player]
    namespace: Namespace | None
    """The network of the last worker."""

    async def start(self) -> None:
        """Start every process that does not run."""
        async with asyncio.TaskGroup() as group:
            for scheduler in self.schedulers:
                group.create_task(scheduler.start())
            for worker in self.workers:
                group.create_task(worker.start())

    @property
    def links(self) -> list[Link]:
        """Every link."""
        return [
            link
            for scheduler in self.schedulers
            for link in (scheduler.database, scheduler.public, *scheduler.own)
        ]

    @property
    def target(self) -> str:
        """What clients are given."""
        return ",".join(str(scheduler.public.place) for scheduler in self.schedulers)


@asynccontextmanager
async def set_stage(
    postgres: EmbeddedPostgres,
    folder: Path,
    history: Path,
    *,
    namespace: Namespace | None,
    clocks: Mapping[str, MovedClock],
) -> AsyncGenerator[Stage]:
    """Start everything on a database of its own; at the end no process and no link of it is left."""
    name = f"round_{os.urandom(6).hex()}"
    (folder / MADE).mkdir()
    async with connected(postgres.dsn()) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    stage = Stage(dsn=postgres.dsn(name), postgres=postgres, schedulers=[], workers=[], namespace=namespace)
    try:
        for number in range(SCHEDULERS):
            stage.schedulers.append(await _scheduler(stage, folder, number, clocks))
        for number in range(WORKERS):
            stage.workers.append(_worker(stage, folder, number, history, clocks))
        await stage.start()
        yield stage
    finally:
        for player in (*stage.workers, *(scheduler.player for scheduler in stage.schedulers)):
            await player.kill()
        for link in stage.links:
            await link.close()


async def _scheduler(stage: Stage, folder: Path, number: int, clocks: Mapping[str, MovedClock]) -> Scheduler:
    name = f"scheduler-{number}"
    outside = stage.namespace.host if stage.namespace else LOOPBACK
    nowhere = Place(host=LOOPBACK, port=1)
    database = Link(Place(path=Path(parse_qs(urlsplit(stage.dsn).query)["host"][0]) / SOCKET))
    sockets = folder / f"database-{number}"
    await database.listen(Place(path=sockets / SOCKET))
    public = Link(nowhere)
    await public.listen(Place(host=outside))
    own: list[Link] = []
    for worker in range(WORKERS):
        link = Link(nowhere)
        await link.listen(Place(host=outside if worker == WORKERS - 1 else LOOPBACK))
        own.append(link)
    port_file = folder / f"{name}.port"
    settings = {
        "CALLSHEET_DATABASE_URL": _through(stage.dsn, sockets),
        "CALLSHEET_PORT_FILE": str(port_file),
        "CALLSHEET_ADVERTISE": str(public.place),
    }
    player = Player(
        name=name,
        arguments=("-m", "callsheet_scheduler.main"),
        environment={**SCHEDULER_SETTINGS, **settings},
        log=folder / f"{name}.log",
        clock=clocks.get(name),
    )
    return Scheduler(player=player, port_file=port_file, database=database, public=public, own=own)


def _worker(
    stage: Stage, folder: Path, number: int, history: Path, clocks: Mapping[str, MovedClock]
) -> Player:
    name = f"worker-{number}"
    spool = folder / f"{name}-spool"
    spool.mkdir(mode=0o700)
    (spool / "identity").write_text(name, encoding="ascii")
    in_namespace = stage.namespace is not None and number == WORKERS - 1
    return Player(
        name=name,
        arguments=("-m", "tests.nemesis.worker", "--name", f"{name}.START", "--history", str(history)),
        environment={
            "CALLSHEET_SCHEDULER": ",".join(str(one.own[number].place) for one in stage.schedulers),
            "CALLSHEET_SPOOL": str(spool),
            "CALLSHEET_ROOTS": json.dumps({MADE: {"path": str(folder / MADE), "writable": True}}),
            "CALLSHEET_HOST": HOST,
            "CALLSHEET_SLOTS": str(SLOTS),
            "CALLSHEET_CHILDREN": "0",
            "CALLSHEET_DRAIN_GRACE_S": "0.2",
        },
        log=folder / f"{name}.log",
        before=stage.namespace.command if stage.namespace and in_namespace else (),
        clock=clocks.get(name),
    )


def _through(dsn: str, sockets: Path) -> str:
    """Return *dsn* with another folder of sockets."""
    parts = urlsplit(dsn)
    return parts._replace(query=f"host={quote(str(sockets), safe='')}").geturl()
