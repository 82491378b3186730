"""Does each kind of fault to a stage, and undoes it; what was done is noted in the history."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
import grpc

from callsheet.channel import open_channel
from callsheet.v1.job_service_pb2 import GetStatsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.verify.events import Fault, Healed
from callsheet.verify.recorder import Recorder
from tests.nemesis.link import Link
from tests.nemesis.plan import PlannedFault
from tests.nemesis.stage import LOOPBACK, Player, Scheduler, Stage
from tests.support.patience import PATIENCE_S

#: How long a scheduler may take to say that it leads.
ASK_S: Final = 0.5
SLOW_S: Final = 0.15

T = TypeVar("T")


class Nemesis:
    """Strikes a stage."""

    def __init__(self, stage: Stage, recorder: Recorder) -> None:
        self._stage = stage
        self._recorder = recorder
        self.ended: list[str] = []
        """Processes that were found to have ended by themselves when everything was mended."""
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def strike(self, fault: PlannedFault) -> None:
        """Do one fault, wait for as long as it lasts, and undo it."""
        kind = fault.kind
        if kind.endswith("_worker"):
            player = _of(self._stage.workers, fault.number)
            await self._at(player.name, fault, self._signal(player, fault), player.name)
        elif kind == "kill_schedulers":
            async with AsyncExitStack() as stack:
                for scheduler in self._stage.schedulers:
                    await stack.enter_async_context(self._busy[scheduler.player.name])
                await self._during(fault, "both", self._kill_schedulers(fault))
        elif kind.endswith(("_leader", "_standby")):
            scheduler = await self._scheduler(leads=kind.endswith("_leader"))
            name = scheduler.player.name
            await self._at(name, fault, self._signal(scheduler.player, fault, scheduler), name)
        elif kind.endswith("_database"):
            await self._at("database", fault, self._database(fault), "database")
        elif kind.endswith("_backend"):
            await self._at("database", fault, self._backend(fault), "backend")
        elif kind == "pull_cable":
            await self._at("cable", fault, self._cable(fault), self._stage.workers[-1].name)
        elif kind == "move_clock":
            moved = [player for player in self._players() if player.clock is not None]
            player = _of(moved, fault.number)
            await self._at(f"clock {player.name}", fault, self._clock(player, fault), player.name)
        else:
            name, links = self._stretch(fault.number)
            await self._at(f"network {name}", fault, self._network(links, fault), name)

    async def mend(self) -> None:
        """See that everything runs and every link is whole."""
        if not self._stage.postgres.running:
            await self._stage.postgres.start()
        for link in self._stage.links:
            link.heal()
        for player in self._players():
            if player.clock is not None:
                player.clock.move(0)
            player.send(signal.SIGCONT)
        self.ended += [player.name for player in self._players() if not player.runs]
        await self._stage.start()

    def _players(self) -> list[Player]:
        return [*(one.player for one in self._stage.schedulers), *self._stage.workers]

    async def _at(self, place: str, fault: PlannedFault, doing: Awaitable[None], target: str) -> None:
        async with self._busy[place]:
            await self._during(fault, target, doing)

    async def _during(self, fault: PlannedFault, target: str, doing: Awaitable[None]) -> None:
        self._recorder.note(Fault(**self._recorder.stamp(), kind=fault.kind, target=target))
        try:
            await doing
        finally:
            self._recorder.note(Healed(**self._recorder.stamp(), kind=fault.kind, target=target))

    async def _signal(self, player: Player, fault: PlannedFault, scheduler: Scheduler | None = None) -> None:
        if fault.kind.startswith("stop"):
            player.send(signal.SIGSTOP)
            await asyncio.sleep(fault.for_s)
            player.send(signal.SIGCONT)
            return
        if fault.kind.startswith("kill"):
            await player.kill()
            await asyncio.sleep(fault.for_s)
        else:
            player.send(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                await player.ended()
        await (player.start() if scheduler is None else scheduler.start())

    async def _kill_schedulers(self, fault: PlannedFault) -> None:
        for scheduler in self._stage.schedulers:
            await scheduler.player.kill()
        await asyncio.sleep(fault.for_s)
        await asyncio.gather(*(scheduler.start() for scheduler in self._stage.schedulers))

    async def _scheduler(self, *, leads: bool) -> Scheduler:
        """Return the scheduler that leads, or one that does not; without a leader, the first."""
        answers = await asyncio.gather(*(_leads(one.port) for one in self._stage.schedulers))
        found = [one for one, its in zip(self._stage.schedulers, answers, strict=True) if its == leads]
        return found[0] if found else self._stage.schedulers[0]

    async def _database(self, fault: PlannedFault) -> None:
        postgres = self._stage.postgres
        pid = postgres.pid
        if pid is None:
            return
        match fault.kind:
            case "freeze_database":
                frozen = [pid, *_children(pid)]
                _send(signal.SIGSTOP, frozen)
                await asyncio.sleep(fault.for_s)
                _send(signal.SIGCONT, frozen)
                return
            case "kill_database":
                await postgres.kill()
            case "crash_database":
                _send(signal.SIGQUIT, [pid])
                await postgres.wait()
            case _:
                await postgres.stop()
        await asyncio.sleep(fault.for_s)
        await postgres.start()

    async def _backend(self, fault: PlannedFault) -> None:
        """Kill the server process of one connection, which makes all others restart; or end it in order."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(self._stage.dsn, ssl=False, timeout=5)
            try:
                rows = await connection.fetch(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY backend_start"
                )
                if not rows:
                    return
                pid: int = _of(rows, fault.number)["pid"]
                if fault.kind == "kill_backend":
                    _send(signal.SIGKILL, [pid])
                else:
                    await connection.execute("SELECT pg_terminate_backend($1)", pid)
            finally:
                connection.terminate()

    async def _cable(self, fault: PlannedFault) -> None:
        namespace = self._stage.namespace
        assert namespace is not None, "no cable was planned to be pulled"
        await namespace.pull()
        await asyncio.sleep(fault.for_s)
        await namespace.plug()

    async def _clock(self, player: Player, fault: PlannedFault) -> None:
        assert player.clock is not None, "this clock cannot be moved"
        player.clock.move(fault.jump_s)
        await asyncio.sleep(fault.for_s)
        player.clock.move(0)

    def _stretch(self, number: int) -> tuple[str, list[Link]]:
        """Return the links between two parties, and what they are called."""
        stretches = {
            "workers to scheduler-0": [*self._stage.schedulers[0].own, self._stage.schedulers[0].public],
            "workers to scheduler-1": [*self._stage.schedulers[1].own, self._stage.schedulers[1].public],
            "worker-0 to schedulers": [one.own[0] for one in self._stage.schedulers],
            "worker-1 to schedulers": [one.own[1] for one in self._stage.schedulers],
            "clients to schedulers": [one.public for one in self._stage.schedulers],
            "scheduler-0 to database": [self._stage.schedulers[0].database],
            "scheduler-1 to database": [self._stage.schedulers[1].database],
        }
        name = _of(list(stretches), number)
        return name, stretches[name]

    async def _network(self, links: list[Link], fault: PlannedFault) -> None:
        for link in links:
            match fault.kind:
                case "cut":
                    link.hold()
                case "deafen":
                    link.hold(link.there)
                case "mute" | "lose_answers":
                    link.hold(link.back)
                case "slow":
                    link.slow(SLOW_S)
                case "refuse":
                    link.refuse()
                case _:
                    link.reset()
        await asyncio.sleep(fault.for_s)
        for link in links:
            if fault.kind == "lose_answers":
                link.reset()
            link.heal()


async def _leads(port: int) -> bool:
    async with _channel(port) as channel:
        try:
            await JobServiceStub(channel).GetStats(GetStatsRequest(), timeout=ASK_S)
        except grpc.aio.AioRpcError:
            return False
        return True


@asynccontextmanager
async def _channel(port: int) -> AsyncGenerator[grpc.aio.Channel]:
    async with open_channel(f"{LOOPBACK}:{port}") as channel:
        yield channel


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _of(things: Sequence[T], number: int) -> T:
    return things[number % len(things)]
