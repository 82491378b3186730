"""A worker process: the real session, simulated attempts, a spool that outlives it."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.job_pb2 import (
    FAILURE_KIND_CANCELLED,
    FAILURE_KIND_TRANSIENT,
    STOP_RUNG_ASKED,
)
from callsheet.v1.lease_service_pb2 import (
    Completed,
    Failed,
    Grant,
    Hello,
    LeaseRef,
    Output,
    Paused,
    Placed,
    Result,
    Returned,
    WorkRequest,
    WorkResponse,
)
from callsheet.worker.stream.commands import (
    Command,
    ForgetResults,
    HangUp,
    LeaseKey,
    Leave,
    PlaceOutputs,
    StartAttempts,
    StopAttempt,
    StopReason,
    key_of,
)
from callsheet.worker.stream.session import Phase, Session
from tests.support.simulator.cards import Cards, shortage
from tests.support.simulator.chance import Chance
from tests.support.simulator.children import Children
from tests.support.simulator.contents import POISON
from tests.support.simulator.people import FAILURES
from tests.support.simulator.scheduler import LEASE_TTL_S, START, Scheduler
from tests.support.simulator.streams import Pipe, StreamEndedError
from tests.support.simulator.traces import Traces

TICK_S: Final = 0.5
HANDED_ON: Final = StopReason.HANDED_ON

#: Outcomes that outlive the process.
SPOOLED: Final = frozenset({"completed", "paused", "yielded"})

#: Ticks between two looks at what killed workers left.
SWEEP_TICKS: Final = 10


@dataclass(slots=True, kw_only=True)
class _Attempt:
    grant: Grant
    task: "asyncio.Task[None] | None" = None
    stop: StopReason | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)


class Worker:
    """One process that holds a stream while it can."""

    def __init__(
        self,
        hello: Hello,
        schedulers: list[Scheduler],
        chance: Chance,
        traces: Traces,
        cards: Cards,
    ) -> None:
        self.hello = hello
        self._cards = cards
        self.alive = False
        self._schedulers = schedulers
        self._chance = chance
        self._traces = traces
        self._children = Children(chance, traces)
        self._spool: dict[LeaseKey, Result] = {}
        self._running = asyncio.Event()
        self._running.set()
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order: a set would bring chance in
        self._results: dict[LeaseKey, Result] = {}
        self.begin()

    def begin(self) -> None:
        """Start the process."""
        self.alive = True
        self._cards.sweep(self.hello.worker_id)
        self.session = Session(self.hello, now=self._now(), results=list(self._spool.values()))
        self._attempts: dict[LeaseKey, _Attempt] = {}
        self._wake = asyncio.Event()
        self._up: Pipe[WorkRequest] | None = None
        self._down: Pipe[WorkResponse] | None = None
        self._start(self._keep_streams())
        self._start(self._keep_time())

    def kill(self) -> None:
        """End the process at once; its spool stays, and for a moment its children."""
        self._traces.killed.add(self.hello.worker_id)
        self._end()
        asyncio.get_running_loop().call_later(self._chance.delay_s(0.5), self._watchdog)

    def _watchdog(self) -> None:
        if not self.alive:
            self._cards.sweep(self.hello.worker_id)

    def _end(self) -> None:
        self.alive = False
        for task in list(self._tasks):
            task.cancel()
        self._cut(lose=True)

    def drain(self, grace_s: float) -> None:
        """Tell the process to end."""
        self.session.drain(self._now(), grace_s=grace_s)

    async def freeze(self, seconds: float) -> None:
        """Let the process do nothing for a while; its watchdog ends the children when it takes too long."""
        self._running.clear()
        patience_s = min(seconds, LEASE_TTL_S)
        await asyncio.sleep(patience_s)
        if seconds > patience_s:
            self._cards.sweep(self.hello.worker_id)
            await asyncio.sleep(seconds - patience_s)
        self._running.set()

    def cut(self) -> None:
        """Break its stream."""
        self._cut(lose=self._chance.random.random() < 0.5)

    def fall_silent(self) -> None:
        """Let its stream carry nothing more, without anybody learning of it."""
        for pipe in (self._up, self._down):
            if pipe is not None:
                pipe.silent = True

    # ---- streams ----

    async def _keep_streams(self) -> None:
        while True:
            await self._one_stream()
            if self.session.phase is Phase.LEFT:
                self._end()
                return
            again_at = self.session.stream_lost(self._now(), jitter=self._chance.random.random())
            await asyncio.sleep(min(again_at - self._now(), 2.0))

    def _leader(self) -> Scheduler | None:
        return next((one for one in self._schedulers if one.term is not None), None)

    async def _one_stream(self) -> None:
        scheduler = self._leader()
        if scheduler is None:
            await asyncio.sleep(0.3)
            return
        up, down = Pipe[WorkRequest](self._chance), Pipe[WorkResponse](self._chance)
        self._up, self._down = up, down
        server = scheduler.start(scheduler.serve(up, down))
        reading, sending = asyncio.ensure_future(self._read(down)), asyncio.ensure_future(self._send(up))
        try:
            await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=2.0)
        finally:
            self._up = self._down = None
            up.end()
            # A peer that hears nothing more is told by its keepalive, much later.
            delay_s = 25.0 if up.silent else self._chance.delay_s(0.05)
            asyncio.get_running_loop().call_later(delay_s, server.cancel)
            for task in (reading, sending):
                task.cancel()
        for task in (reading, sending):
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise task.exception() or AssertionError

    async def _read(self, down: Pipe[WorkResponse]) -> None:
        while True:
            try:
                response = await down.next()
            except StreamEndedError:
                return
            await self._gate()
            for ack in response.result_acks:
                self._acknowledged(key_of(ack.lease), ack.fate)
            for command in self.session.received(response, self._now(), self._instant()):
                self._obey(command)
            self._wake.set()

    async def _send(self, up: Pipe[WorkRequest]) -> None:
        up.send(self.session.stream_opened(self._now()))
        while True:
            await self._gate()
            request = self.session.flush(self._now(), load=0.0)
            if request is not None and request.HasField("heartbeat"):
                request.heartbeat.devices.extend(self._cards.seen_by(self.hello))
            if request is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            up.send(request)
            faults = self._chance.faults
            if self._chance.strikes(faults.stream_half_open):
                self.fall_silent()
            if self._chance.strikes(faults.stream_cut):
                self.cut()
            if request.goodbye:
                return

    def _cut(self, *, lose: bool) -> None:
        if self._up is not None and self._down is not None:
            self._up.end(lose=lose)
            self._down.end(lose=True)

    async def _keep_time(self) -> None:
        for tick in count():
            await self._gate()
            for command in self.session.tick(self._now()):
                self._obey(command)
            self._wake.set()
            scheduler = self._leader()
            if tick % SWEEP_TICKS == 0 and scheduler is not None:
                self._traces.sweep(scheduler.standing)
            await asyncio.sleep(TICK_S)

    def _obey(self, command: Command) -> None:
        match command:
            case StartAttempts():
                for grant in command.grants:
                    self._begin_attempt(grant)
            case StopAttempt():
                self._ask_to_stop(command)
            case ForgetResults():
                self._forget(command)
            case PlaceOutputs():
                self._place(command.outputs)
            case HangUp():
                self._cut(lose=True)
            case Leave():
                self.kill()

    def _forget(self, command: ForgetResults) -> None:
        for result in command.results:
            self._spool.pop(key_of(result.lease), None)
            if command.remove_outputs:
                self._traces.files.discard(key_of(result.lease))

    def _place(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self._traces.placed.add((output.root, output.path))
            self.session.output_placed(Placed(output=output))

    def _ask_to_stop(self, command: StopAttempt) -> None:
        attempt = self._attempts.get(command.key)
        if attempt is not None and (command.reason is not HANDED_ON or attempt.grant.type == "render"):
            attempt.stop = command.reason
            attempt.asked.set()

    def _acknowledged(self, key: LeaseKey, fate: int) -> None:
        result = self._results.get(key)
        if result is not None:
            self._traces.on_ack(key, result.WhichOneof("outcome") or "", fate)

    # ---- attempts ----

    def _begin_attempt(self, grant: Grant) -> None:
        key = key_of(grant.lease)
        self._traces.on_start(key)
        attempt = self._attempts[key] = _Attempt(grant=grant)
        self._cards.begin(self.hello.worker_id, grant)
        attempt.task = self._start(self._run(key, attempt, self._instant()))

    async def _run(self, key: LeaseKey, attempt: _Attempt, started_at: Timestamp) -> None:
        result = await self._work(key, attempt)
        await self._gate()
        result.lease.CopyFrom(attempt.grant.lease)
        result.started_at.CopyFrom(started_at)
        result.ended_at.CopyFrom(self._instant())
        if attempt.stop in {StopReason.STALE, StopReason.CANCELLED} and result.HasField("completed"):
            self._traces.files.discard(key)
            result.failed.CopyFrom(Failed(kind=FAILURE_KIND_CANCELLED, stop_rung=STOP_RUNG_ASKED))
        elif attempt.stop is HANDED_ON or result.WhichOneof("outcome") in SPOOLED:
            self._spool[key] = result
        self._results[key] = result
        del self._attempts[key]
        self._cards.end(key)
        self._traces.note_memory(key, attempt.grant, result)
        self.session.attempt_ended(key, result)
        self._wake.set()

    async def _work(self, key: LeaseKey, attempt: _Attempt) -> Result:
        grant = attempt.grant
        wanted = json.loads(grant.params_json)
        parts = wanted.get("parts", 1)
        kept: dict[str, int] = json.loads(grant.checkpoint_json or "{}")
        begun, rounds = kept.get("part", 0), kept.get("rounds", 0)
        for part in range(begun, parts):
            if await self._stopped(attempt, wanted.get("s", 0.1)):
                return self._ended_early(attempt, {"part": part, "rounds": rounds})
            self._say(key, grant.attempt, f"part {part}")
            self.session.attempt_progressed(key, 100 * (part + 1) // parts)
            self._wake.set()
        if rounds < wanted.get("yields", 0):
            return Result(yielded=self._children.yielded({"part": parts, "rounds": rounds + 1}))
        return shortage(grant) or self._outcome(key, wanted, grant)

    async def _stopped(self, attempt: _Attempt, seconds: float) -> bool:
        await self._gate()
        try:
            async with asyncio.timeout(seconds):
                await attempt.asked.wait()
        except TimeoutError:
            return False
        return True

    def _ended_early(self, attempt: _Attempt, kept: dict[str, int]) -> Result:
        match attempt.stop:
            case StopReason.CANCELLED:
                return Result(failed=Failed(kind=FAILURE_KIND_CANCELLED, stop_rung=STOP_RUNG_ASKED))
            case StopReason.RUN_LIMIT:
                return Result(failed=Failed(kind=FAILURE_KIND_TRANSIENT, reason="took too long"))
            case StopReason.SILENCE | StopReason.DRAIN:
                return Result(returned=Returned(reason="handed back"))
            case StopReason.STALE:
                return Result(returned=Returned(reason="stale"))
            case StopReason.HANDED_ON:
                return Result(returned=Returned(reason="handed on", checkpoint_json=json.dumps(kept)))
            case _:
                return Result(paused=Paused(checkpoint_json=json.dumps(kept)))

    def _outcome(self, key: LeaseKey, wanted: dict[str, object], grant: Grant) -> Result:
        luck = self._chance.random.random()
        match wanted.get("do"):
            case str(what) if what in FAILURES and luck < FAILURES[what][0]:
                _, kind, reason = FAILURES[what]
                return Result(failed=Failed(kind=kind, reason=reason))
            case "crash" if luck < 0.7 and not self._chance.calm:
                self.kill()
                return Result(returned=Returned(reason="never said"))
            case "return" if luck < 0.5:
                return Result(returned=Returned(reason="not now"))
            case _:
                return Result(completed=self._completed(key, wanted, grant.lease))

    def _completed(self, key: LeaseKey, wanted: dict[str, object], lease: LeaseRef) -> Completed:
        self._traces.files.add(key)
        self._traces.made.add(key)
        done = Completed(result_json="{}")
        chance = self._chance
        if chance.strikes(chance.faults.content_refused):
            done.result_json = POISON
        for child in range(int(str(wanted.get("children", 0)))):
            done.follow_ups.append(self._children.one(child))
        path = wanted.get("output")
        if isinstance(path, str):
            staged = f"{path}.{lease.token:016x}"
            done.outputs.append(Output(lease=lease, root="media", staged_path=staged, path=path))
        return done

    def _say(self, key: LeaseKey, attempt: int, text: str) -> None:
        self._traces.said.setdefault((key[0], attempt), []).append(text)
        self.session.attempt_logged(key, text, "")

    # ---- the process ----

    def _start(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda ended: self._tasks.pop(ended, None))
        return task

    async def _gate(self) -> None:
        while not self._running.is_set():
            await self._running.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _instant(self) -> Timestamp:
        at = START + self._now()
        return Timestamp(seconds=int(at), nanos=int(at % 1 * 1e9))
