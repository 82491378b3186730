"""Rounds of real faults: processes are struck under load, mended, and judged once they are at rest."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.migrate import migrate
from callsheet_scheduler.store.partitions import make_partitions

from callsheet.channel import open_channel
from callsheet.service.clock import SystemClock
from callsheet.v1.job_service_pb2 import ListJobTypesRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.verify.events import Begin, End, Fault
from callsheet.verify.history import read
from callsheet.verify.judge import Verdict, judge
from callsheet.verify.laws.log import log as whole_logs
from callsheet.verify.recorder import Recorder
from tests.nemesis.clients import Load, RecordedClient
from tests.nemesis.database import connected
from tests.nemesis.faults import Nemesis
from tests.nemesis.machine import MovedClock, Namespace, NotHereError, moved_clock, network_namespace
from tests.nemesis.plan import (
    CLIENTS,
    CLOCK_FAULTS,
    LOAD_S,
    NAMESPACE_FAULTS,
    SCHEDULERS,
    WORKERS,
    Plan,
    PlannedFault,
)
from tests.nemesis.stage import LEASE_TTL_S, LIMIT, Stage, set_stage
from tests.nemesis.tables import read_files, read_tables, under_way
from tests.nemesis.worker import MADE, PROCESSORS

SERVER: Final = {"shared_buffers": "32MB", "max_connections": "80"}

READY_S: Final = 60.0
"""How long everything may take to start."""
DRAIN_S: Final = 40.0
"""How long after the last fault everything may take to come to its end."""
LOGS_S: Final = 10.0
"""How long after that the last pieces of logs may take."""
LOOK_S: Final = 0.1
"""Between two looks at the tables."""
RELEASE_S: Final = 30.0
"""How long it may take to let everything go on that was paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theatre:
    """What outlives a round."""

    postgres: EmbeddedPostgres
    folder: Path
    namespace: Namespace | None
    clocks: Mapping[str, MovedClock]
    without: Mapping[str, str]
    """Kinds of faults that this machine does not allow, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one."""

    plan: Plan
    verdict: Verdict
    """On everything since the stage was set."""
    folder: Path
    """The history and the logs of the processes."""
    took_s: float
    struck: Counter[str]
    """Faults of this round, by kind."""
    reasons: Counter[str]
    """Answers that were neither a success nor a plain refusal."""
    ended: tuple[str, ...]
    """Processes that had ended by themselves."""
    faults_of_ours: Counter[str]
    """What processes logged as errors since the stage was set: the code's own, whatever was done to them."""


@asynccontextmanager
async def open_theatre(folder: Path) -> AsyncGenerator[Theatre]:
    """Start what all rounds share; *folder* must be one that any account may enter."""
    without: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        namespace: Namespace | None = None
        clocks: dict[str, MovedClock] = {}
        try:
            namespace = await stack.enter_async_context(network_namespace())
        except NotHereError as error:
            without |= dict.fromkeys(NAMESPACE_FAULTS, str(error))
        names = [*(f"scheduler-{n}" for n in range(SCHEDULERS)), *(f"worker-{n}" for n in range(WORKERS))]
        try:
            clocks = {name: moved_clock(folder / f"{name}.clock") for name in names}
        except NotHereError as error:
            without |= dict.fromkeys(CLOCK_FAULTS, str(error))
        postgres = EmbeddedPostgres(folder, settings=SERVER)
        await postgres.start()
        stack.push_async_callback(postgres.close)
        await _make_template(postgres)
        yield Theatre(postgres=postgres, folder=folder, namespace=namespace, clocks=clocks, without=without)


class Play:
    """Rounds on one stage, one after another."""

    def __init__(self, stage: Stage, folder: Path, recorder: Recorder) -> None:
        self._stage = stage
        self._folder = folder
        self._recorder = recorder
        self._clock = SystemClock()

    async def round(self, planned: Plan) -> Round:
        """Play one: make calls and faults, mend everything, let it come to its end, and judge."""
        began = self._clock.monotonic()
        await _ready(self._stage)
        nemesis = Nemesis(self._stage, self._recorder)
        since = self._recorder.stamp()["at"]
        await self._act(nemesis, planned)
        await _drained(self._stage)
        history = read(await self._history())
        calls = [call for call in history.calls.values() if call.invoke.at >= since]
        faults = [event for event in history.events if isinstance(event, Fault) and event.at >= since]
        return Round(
            plan=planned,
            verdict=judge(history),
            folder=self._folder,
            took_s=self._clock.monotonic() - began,
            struck=Counter(fault.kind for fault in faults),
            reasons=Counter(
                call.answer.reason for call in calls if call.answer and call.outcome == "unknown"
            ),
            ended=tuple(nemesis.ended),
            faults_of_ours=await asyncio.to_thread(_errors, self._folder),
        )

    async def _act(self, nemesis: Nemesis, planned: Plan) -> None:
        load = Load()
        stop = asyncio.Event()
        clients = [
            RecordedClient(f"client-{planned.seed}-{number}", self._stage.target, self._recorder, load)
            for number in range(CLIENTS)
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(client.make_calls(stop))
                for fault in planned.faults:
                    group.create_task(_later(fault.at_s, nemesis, fault))
                await asyncio.sleep(LOAD_S)
                stop.set()
            await nemesis.mend()
            async with asyncio.timeout(RELEASE_S):
                await clients[0].release_all()
        finally:
            for client in clients:
                await client.close()

    async def _history(self) -> list[bytes]:
        """Return everything noted since the stage was set, and the tables.

        The last pieces of logs are waited for, since they may be later than the result of their attempt.
        """
        path = self._folder / "running.jsonl"
        deadline = self._clock.monotonic() + LOGS_S
        while True:
            stamp = self._recorder.stamp()
            lines = path.read_bytes().splitlines()
            tables = await read_tables(self._stage.dsn, stamp, at_rest=True)
            tables += await asyncio.to_thread(read_files, self._folder / MADE, stamp)
            end = End(**stamp, events=len(lines) + len(tables))
            lines += [event.model_dump_json().encode() for event in (*tables, end)]
            if self._clock.monotonic() > deadline or not list(whole_logs.judge(read(lines))):
                (self._folder / "history.jsonl").write_bytes(b"\n".join([*lines, b""]))
                return lines
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_play(theatre: Theatre, name: str) -> AsyncGenerator[Play]:
    """Set a stage for some rounds."""
    folder = theatre.folder / name
    folder.mkdir(mode=0o711)
    path = folder / "running.jsonl"
    with Recorder(path, by="nemesis") as recorder:
        recorder.note(Begin(**recorder.stamp(), lease_ttl_s=LEASE_TTL_S, host_limits={"cpu": LIMIT}))
        async with set_stage(
            theatre.postgres, folder, path, namespace=theatre.namespace, clocks=theatre.clocks
        ) as stage:
            yield Play(stage, folder, recorder)


async def _make_template(postgres: EmbeddedPostgres) -> None:
    async with connected(postgres.dsn()) as connection:
        await connection.execute("CREATE DATABASE migrated")
    await migrate(postgres.dsn("migrated"))
    async with connected(postgres.dsn("migrated")) as connection:
        await make_partitions(connection, now=await connection.fetchval("SELECT now()"))


async def _later(at_s: float, nemesis: Nemesis, fault: PlannedFault) -> None:
    await asyncio.sleep(at_s)
    await nemesis.strike(fault)


async def _ready(stage: Stage) -> None:
    """Wait until a scheduler leads and knows the workers' types."""
    async with asyncio.timeout(READY_S), open_channel(stage.target) as channel:
        while True:
            try:
                answer = await JobServiceStub(channel).ListJobTypes(ListJobTypesRequest(), timeout=1.0)
            except grpc.aio.AioRpcError:
                pass
            else:
                if {known.name for known in answer.types} >= {one.job_type.name for one in PROCESSORS}:
                    return
            await asyncio.sleep(LOOK_S)


async def _drained(stage: Stage) -> None:
    """Wait until nothing is under way, or give up: the law about the end then says which are."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while await under_way(stage.dsn):  # noqa: ASYNC110 -- other processes
                await asyncio.sleep(LOOK_S)


def _errors(folder: Path) -> Counter[str]:
    """Return the last line of the trace of every error in the logs, and how often it is there."""
    found: Counter[str] = Counter()
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if '"level": "error"' in line or '"level": "critical"' in line:
                said = json.loads(line)
                trace = str(said.get("trace", "")).strip().splitlines()
                found[f"{said['message']}: {trace[-1] if trace else ''}"] += 1
            elif line.startswith("Traceback"):
                found[f"{log.stem} died of an error"] += 1
    return found
