"""A worker's side of the lease stream as a state machine: no I/O, no clock, no chance.

Messages and events go in; what is to be started, stopped or forgotten comes out as commands, and what
is to be sent is taken as one message whenever the stream can carry it. A session outlives its streams:
``hello`` names what is still held, results are sent again until they are acknowledged, and log text
that was not sent yet goes with the next message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from callsheet.v1.lease_service_pb2 import (
    Grant,
    Heartbeat,
    Hello,
    LeaseRef,
    LogChunk,
    Progress,
    Result,
    ResultFate,
    Started,
    WorkRequest,
    WorkResponse,
)

Lease = tuple[str, int]
"""Job id and fencing token."""

#: Results in one message, so that it stays under the message limit.
RESULTS_PER_MESSAGE_MAX: Final = 200

#: Bytes of results in one message.
RESULT_BYTES_MAX: Final = 1 << 20

#: Log chunks kept while there is no stream; older ones are dropped.
LOG_CHUNKS_MAX: Final = 1000

LOGS_PER_MESSAGE_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Run the attempt that this lease allows."""

    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """End the attempt: *cancelled* to report it so, otherwise to report nothing."""

    lease: Lease
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResult:
    """The result is answered: drop what was kept of it; where *stale*, also what the lease made."""

    lease: Lease
    stale: bool


Command = StartAttempt | StopAttempt | ForgetResult


@dataclass(slots=True, kw_only=True)
class _Held:
    """A lease, from its grant until its result is acknowledged."""

    ended: bool = False
    dropped: bool = False
    """Stale: its result is not to be sent."""
    log_sequence: int = 0


@dataclass(slots=True, kw_only=True)
class Rules:
    """What the scheduler said at its welcome; until then cautious values."""

    lease_ttl_s: float = 30.0
    heartbeat_s: float = 5.0
    orphan_limit_s: float = 900.0


@dataclass(slots=True)
class Session:
    """One worker process as the scheduler knows it."""

    introduction: Hello
    """Who the worker is; credit and held leases are filled in by ``hello``."""
    rules: Rules = field(default_factory=Rules)
    connected: bool = False
    draining: bool = False
    _held: dict[Lease, _Held] = field(default_factory=dict[Lease, _Held])
    _results: dict[Lease, Result] = field(default_factory=dict[Lease, Result])
    _unsent: list[Lease] = field(default_factory=list[Lease])
    _started: dict[Lease, Started] = field(default_factory=dict[Lease, Started])
    _progress: dict[Lease, int] = field(default_factory=dict[Lease, int])
    _logs: list[LogChunk] = field(default_factory=list[LogChunk])
    _credit: int = 0
    _goodbye: bool = False
    _heartbeats: dict[int, float] = field(default_factory=dict[int, float])
    _sequence: int = 0
    _heartbeat_due_at: float = 0.0
    _heard_at: float | None = None

    # ---- the stream ----

    def hello(self) -> WorkRequest:
        """Open a stream: return its first message. Everything not acknowledged will be sent again."""
        self.connected = False
        running = sum(not held.ended for held in self._held.values())
        hello = Hello()
        hello.CopyFrom(self.introduction)
        hello.credit = 0 if self.draining else max(0, self.introduction.slots - running)
        hello.held.extend(LeaseRef(job_id=lease[0], token=lease[1]) for lease in self._held)
        self._credit = 0
        self._unsent = list(self._results)
        self._heartbeats.clear()
        return WorkRequest(hello=hello)

    def received(self, message: WorkResponse, now: float) -> list[Command]:
        """Take in a message; *now* is monotonic seconds."""
        commands: list[Command] = []
        self._heard_at = self._heard_at if self._heard_at is not None else now
        if message.HasField("welcome"):
            welcome = message.welcome
            self.connected = True
            self._heard_at = now
            self._heartbeat_due_at = now
            self.rules = Rules(
                lease_ttl_s=welcome.lease_ttl.ToTimedelta().total_seconds(),
                heartbeat_s=welcome.heartbeat_interval.ToTimedelta().total_seconds(),
                orphan_limit_s=welcome.orphan_limit.ToTimedelta().total_seconds(),
            )
            for ref in welcome.stale:
                commands += self._drop((ref.job_id, ref.token))
        for grant in message.grants:
            lease = (grant.lease.job_id, grant.lease.token)
            if lease not in self._held:
                self._held[lease] = _Held()
                commands.append(StartAttempt(grant=grant))
        for ack in message.result_acks:
            commands += self._acknowledged((ack.lease.job_id, ack.lease.token), ack.fate)
        for revoke in message.revokes:
            lease = (revoke.lease.job_id, revoke.lease.token)
            if revoke.cancelled:
                if lease in self._held and not self._held[lease].ended:
                    commands.append(StopAttempt(lease=lease, cancelled=True))
            else:
                commands += self._drop(lease)
        if message.heartbeat_ack in self._heartbeats:
            self._heard_at = self._heartbeats[message.heartbeat_ack]
            self._heartbeats = {n: at for n, at in self._heartbeats.items() if n > message.heartbeat_ack}
        return commands

    def lost(self) -> None:
        """The stream is gone."""
        self.connected = False

    def take(self, *, load: float, now: float) -> WorkRequest | None:
        """Return everything that waits to be sent as one message, or None for nothing."""
        if not self.connected:
            return None
        results = self._take_results()
        message = WorkRequest(
            credit=self._credit,
            started=self._started.values(),
            progress=[
                Progress(lease=LeaseRef(job_id=lease[0], token=lease[1]), percent=percent)
                for lease, percent in self._progress.items()
            ],
            logs=self._logs[:LOGS_PER_MESSAGE_MAX],
            results=results,
        )
        due = now >= self._heartbeat_due_at
        if due:
            message.heartbeat.CopyFrom(self._beat(load, now))
        if self._goodbye and not self._held:
            message.goodbye = True
        empty = not (due or self._credit or self._started or self._progress or self._logs or results)
        self._credit = 0
        self._started.clear()
        self._progress.clear()
        del self._logs[:LOGS_PER_MESSAGE_MAX]
        return None if empty and not message.goodbye else message

    @property
    def more(self) -> bool:
        """Whether ``take`` would return another full message."""
        return self.connected and bool(self._unsent or self._logs)

    # ---- attempts ----

    def restore(self, results: Iterable[Result]) -> None:
        """Take over results that an earlier run of this worker could not deliver."""
        for result in results:
            lease = (result.lease.job_id, result.lease.token)
            self._held[lease] = _Held(ended=True)
            self._results[lease] = result

    def started(self, lease: Lease, started: Started) -> None:
        """An attempt began."""
        if lease in self._held:
            self._started[lease] = started

    def progressed(self, lease: Lease, percent: int) -> None:
        """An attempt is so far."""
        held = self._held.get(lease)
        if held is not None and not held.ended:
            self._progress[lease] = max(percent, self._progress.get(lease, 0))

    def logged(self, lease: Lease, text: str) -> None:
        """An attempt has something to say; *text* is complete lines."""
        held = self._held.get(lease)
        if held is None or held.dropped:
            return
        held.log_sequence += 1
        ref = LeaseRef(job_id=lease[0], token=lease[1])
        self._logs.append(LogChunk(lease=ref, sequence=held.log_sequence, text=text))
        if len(self._logs) > LOG_CHUNKS_MAX and not self.connected:
            del self._logs[0]

    def ended(self, lease: Lease, result: Result | None) -> None:
        """An attempt is over; None where there is nothing to report, because the lease was stale."""
        held = self._held.get(lease)
        if held is None or held.ended:
            return
        held.ended = True
        if not self.draining:
            self._credit += 1
        self._progress.pop(lease, None)
        if result is None or held.dropped:
            del self._held[lease]
            self._started.pop(lease, None)
            return
        if result.HasField("started_at"):
            self._started.pop(lease, None)
        self._results[lease] = result
        self._unsent.append(lease)

    # ---- time and leaving ----

    def next_beat_at(self) -> float:
        """Return when the next heartbeat is due, in monotonic seconds."""
        return self._heartbeat_due_at

    def is_abandoned(self, now: float) -> bool:
        """Return whether the scheduler has been silent for longer than attempts may go on."""
        return self._heard_at is not None and now - self._heard_at > self.rules.orphan_limit_s

    def running(self) -> list[Lease]:
        """Return the leases whose attempts are not over."""
        return [lease for lease, held in self._held.items() if not held.ended]

    def live_tokens(self) -> Sequence[int]:
        """Return the fencing tokens of all leases that are held or wait for an answer."""
        return [lease[1] for lease in self._held]

    def drain(self) -> None:
        """Take no new lease."""
        self.draining = True
        self._credit = 0

    def leave(self) -> None:
        """Say goodbye as soon as everything is answered."""
        self.draining = True
        self._goodbye = True

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits for an answer."""
        return not self._held

    # ---- inside ----

    def _take_results(self) -> list[Result]:
        taken: list[Result] = []
        size = 0
        while self._unsent and len(taken) < RESULTS_PER_MESSAGE_MAX:
            result = self._results.get(self._unsent[0])
            size += 0 if result is None else result.ByteSize()
            if taken and size > RESULT_BYTES_MAX:
                break
            self._unsent.pop(0)
            if result is not None:
                taken.append(result)
        return taken

    def _beat(self, load: float, now: float) -> Heartbeat:
        self._sequence += 1
        self._heartbeats[self._sequence] = now
        self._heartbeat_due_at = now + self.rules.heartbeat_s
        running = sum(not held.ended for held in self._held.values())
        return Heartbeat(sequence=self._sequence, running=running, load=load)

    def _acknowledged(self, lease: Lease, fate: int) -> list[Command]:
        if self._held.pop(lease, None) is None:
            return []
        self._results.pop(lease, None)
        return [ForgetResult(lease=lease, stale=fate == ResultFate.RESULT_FATE_STALE)]

    def _drop(self, lease: Lease) -> list[Command]:
        held = self._held.get(lease)
        if held is None:
            return []
        if held.ended:
            del self._held[lease]
            self._results.pop(lease, None)
            return [ForgetResult(lease=lease, stale=True)]
        held.dropped = True
        return [StopAttempt(lease=lease, cancelled=False)]
