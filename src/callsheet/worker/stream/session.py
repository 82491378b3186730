"""A worker's stay with the scheduler as a state machine: what happened goes in, what to do comes out.

No I/O, no clock, no chance: every method that needs the time is given it, in monotonic seconds. A
session outlives its streams. `stream_opened` gives the first message of each, `received`, `tick` and
the `attempt_…` methods take in what happens, `flush` gives everything there is to say as one message.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from math import inf
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.lease_service_pb2 import (
    Drain,
    Grant,
    Hello,
    Placed,
    Result,
    Revoke,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.worker.stream.attempt_log import CHUNK_BYTES_MAX, AttemptLog, LogOutbox
from callsheet.worker.stream.backoff import Backoff
from callsheet.worker.stream.cards import Cards
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
from callsheet.worker.stream.devices import Look
from callsheet.worker.stream.drains import LEAVE_GRACE_S, DrainCause, Drains
from callsheet.worker.stream.owed import ResultOutbox, returned
from callsheet.worker.stream.pulse import ORPHAN_LIMIT_S, WELCOME_DEADLINE_S, Pulse
from callsheet.worker.stream.under_way import AttemptsUnderWay, UnderWay

REQUEST_BYTES: Final = 512 * 1024
"""Bytes of results, and of log text, after which a message takes no more of them."""
CHATTER_INTERVAL_S: Final = 0.25
"""Least time between two messages that carry log text or progress of attempts that go on."""


class Phase(Enum):
    """Where the stay is."""

    APART = auto()
    OPENING = auto()
    LIVE = auto()
    LEFT = auto()


class Session:
    """What one worker holds, owes and may ask for.

    Holds at all times: a result is sent on every new stream until it is acknowledged; credit given
    and not used, attempts under way and results not yet sent are together at most the slots, or no
    credit is out; an attempt starts at most once; the log chunks of an attempt are numbered without
    gaps and sent in order.
    """

    def __init__(self, hello: Hello, *, now: float, results: Iterable[Result] = ()) -> None:
        """Begin apart. *hello* needs neither credit nor leases; *results* are those of the spool."""
        self._hello = hello
        self.cards = Cards(hello)
        self._slots = hello.slots
        self.phase = Phase.APART
        self._attempts = AttemptsUnderWay()
        self._results = ResultOutbox(results)
        self._logs = LogOutbox()
        self._credit_out = 0
        self._backoff = Backoff()
        self._chatter_at = self._opened_at = self._heard_at = now
        self.pulse = Pulse(now, lease_ttl_s=WELCOME_DEADLINE_S)
        self._orphan_limit_s = ORPHAN_LIMIT_S
        self._drains = Drains()
        self._drain_said = False
        self._placed: list[Placed] = []

    @property
    def running(self) -> int:
        """How many attempts have not ended."""
        return len(self._attempts)

    @property
    def undelivered(self) -> int:
        """How many results are not acknowledged."""
        return len(self._results)

    @property
    def connected(self) -> bool:
        """Whether the scheduler has welcomed this worker on a stream that is open."""
        return self.phase is Phase.LIVE

    def stream_opened(self, now: float) -> WorkRequest:
        """Return the first message of a new stream."""
        self.phase = Phase.OPENING
        self._opened_at = now
        self._drain_said = False
        free = self._slots - len(self._attempts) - len(self._results)
        self._credit_out = 0 if self._drains else max(0, free)
        request = WorkRequest(hello=self._hello)
        hello = request.hello
        hello.credit = self._credit_out
        hello.held.extend(self._attempts.leases())
        hello.held.extend(self._results.leases())
        return request

    def stream_lost(self, now: float, *, jitter: float) -> float:
        """Return when to open the next stream; *jitter*, 0 to 1, keeps workers from doing so together."""
        if self.phase is not Phase.LEFT:
            self.phase = Phase.APART
        return now + self._backoff.next_s(lease_ttl_s=self.pulse.lease_ttl_s, jitter=jitter)

    def received(self, response: WorkResponse, now: float, at: Timestamp) -> list[Command]:
        """Take in a message; *at* is the instant at which the attempts that it grants begin."""
        commands: list[Command] = []
        if response.HasField("welcome"):
            self._welcomed(response.welcome, now, commands)
        elif self.phase is not Phase.LIVE:
            return [HangUp(reason="the scheduler's first message was no welcome")]
        self._heard_at = now
        if response.heartbeat_ack and self.pulse.answered(response.heartbeat_ack):
            self._backoff.forget()
        if response.logs_kept:
            self._logs.kept(response.logs_kept)
        if response.result_acks:
            stand, fall = self._results.settle(response.result_acks)
            _forget(stand, commands, remove_outputs=False)
            _forget(fall, commands, remove_outputs=True)
        if response.HasField("drain"):
            self._drained(response.drain, now)
        if response.grants:
            self._granted(response.grants, now, at, commands)
        for revoke in response.revokes:
            self._revoked(revoke, commands)
        if response.place:
            commands.append(PlaceOutputs(outputs=response.place))
        return commands

    def attempt_logged(self, key: LeaseKey, text: str, stamp: str) -> bool:
        """Add to an attempt's log; True when a chunk is full and should be sent without delay."""
        log = self._log_of(key)
        if log is None:
            return False
        log.add(text, stamp)
        return log.waiting_bytes >= CHUNK_BYTES_MAX

    def attempt_closed(self, key: LeaseKey, text: str, stamp: str) -> None:
        """Add the last lines of an attempt's log; they are kept however full it is."""
        log = self._log_of(key)
        if log is not None:
            log.close(text, stamp)

    def attempt_progressed(self, key: LeaseKey, percent: int) -> None:
        """Note how far an attempt is; going back has no effect."""
        self._attempts.progressed(key, percent)

    def attempt_ended(self, key: LeaseKey, result: Result | None) -> None:
        """Note that an attempt is over; with None, or where its lease is stale, nothing is reported."""
        attempt = self._attempts.end(key)
        if result is None or attempt.stale:
            self._logs.drop(key)
            return
        self._logs.ended(key)
        self._owe(key, result)

    def tick(self, now: float) -> list[Command]:
        """Do what time brings; call it several times a second."""
        commands: list[Command] = []
        if self.phase is Phase.OPENING and now - self._opened_at > WELCOME_DEADLINE_S:
            commands.append(HangUp(reason="no scheduler answered the hello"))
        if self.phase is Phase.LIVE and now > self.pulse.lease_until:
            commands.append(HangUp(reason="the scheduler did not answer heartbeats"))
        silent = now - self._heard_at >= self._orphan_limit_s
        asked = self._drains.asks(now)
        for key, attempt in self._attempts:
            if silent:
                self._stop(key, attempt, StopReason.SILENCE, commands)
            elif now >= attempt.end_by and asked is not StopReason.DRAIN:
                self._stop(key, attempt, StopReason.RUN_LIMIT, commands)
            elif asked is not None:
                self._stop(key, attempt, asked, commands)
        if self._may_leave(now):
            self.phase = Phase.LEFT
            commands.append(Leave(undelivered=len(self._results)))
        return commands

    def drain(self, now: float, *, grace_s: float) -> None:
        """Take no new lease and leave; what runs may go on for *grace_s* and is then handed back."""
        self._drains.begin(DrainCause.LEAVING, now + grace_s)

    def looked(self, look: Look) -> list[Command]:
        """Take in a look at the cards; trouble is told at once, and by a new stream what the hello lacked."""
        added = self.cards.take(look) and self.phase in {Phase.OPENING, Phase.LIVE}
        if self.cards.turned:
            self.pulse.hasten()
        return [HangUp(reason="there is a card to tell of", unheard=False)] if added else []

    def resized(self, slots: int) -> list[Command]:
        """Take so many leases from now on; the scheduler is told by a new stream, and what runs goes on."""
        changed, self._slots = slots != self._slots, slots
        self._hello.slots = slots
        tells = changed and self.phase in {Phase.OPENING, Phase.LIVE}
        return [HangUp(reason="the slots have changed", unheard=False)] if tells else []

    def output_placed(self, placed: Placed) -> None:
        """Note what became of an output; should it not arrive, the next stream brings the output again."""
        self._placed.append(placed)

    def flush(self, now: float, *, load: float) -> WorkRequest | None:
        """Return what there is to say in one message, or None.

        Call it again until it returns None: what does not fit goes with the next message. A message
        with the goodbye is the last one.
        """
        if self.phase is not Phase.LIVE:
            return None
        request = WorkRequest()
        self._attempts.add_started(request)
        if now >= self._chatter_at and (self._attempts.has_moved or self._logs.has_talk):
            self._add_chatter(request, now)
        if self._logs.has_due:
            request.logs.extend(self._logs.take(REQUEST_BYTES, self.pulse.next_sequence))
        if self._results.unsent and not self._logs.has_due:
            self._results.add_to(request, REQUEST_BYTES)
        if self.pulse.due(now):
            self._add_heartbeat(request, now, load)
        request.placed.extend(self._placed)
        self._placed.clear()
        if not self._drains:
            self._add_credit(request)
        elif self._drains.leaving:
            self._add_leave(request)
        return request if request.ListFields() else None

    def _welcomed(self, welcome: Welcome, now: float, commands: list[Command]) -> None:
        self.phase = Phase.LIVE
        self._drains.end(DrainCause.ADMINISTRATOR)  # who leads here says it again where it holds
        self._orphan_limit_s = welcome.orphan_limit.ToMilliseconds() / 1000
        self.pulse.begin(
            now,
            opened_at=self._opened_at,
            interval_s=welcome.heartbeat_interval.ToMilliseconds() / 1000,
            lease_ttl_s=welcome.lease_ttl.ToMilliseconds() / 1000,
        )
        for lease in welcome.stale:
            self._stale(key_of(lease), commands)
        self._attempts.again()
        self._results.again()
        self._logs.again()

    def _granted(self, grants: Sequence[Grant], now: float, at: Timestamp, commands: list[Command]) -> None:
        started: list[Grant] = []
        self._credit_out = max(0, self._credit_out - len(grants))
        for grant in grants:
            lease = grant.lease
            key = key_of(lease)
            if key in self._attempts or key in self._results:
                continue
            self._supersede(key[0], commands)
            if self._drains:
                self._owe(key, returned(lease, "The worker is drained", at))
            elif len(self._attempts) >= self._slots:
                self._owe(key, returned(lease, f"All {self._slots} slots of the worker are taken", at))
            else:
                self._attempts.begin(key, grant, now, at)
                started.append(grant)
        if started:
            commands.append(StartAttempts(grants=started))

    def _supersede(self, job_id: str, commands: list[Command]) -> None:
        """An older attempt of the same job that is still under way has lost its lease."""
        older = self._attempts.older(job_id)
        if older is not None:
            self._stale(older, commands)

    def _revoked(self, revoke: Revoke, commands: list[Command]) -> None:
        key = key_of(revoke.lease)
        attempt = self._attempts.get(key)
        if not (revoke.cancelled or revoke.paused):
            self._stale(key, commands)
        elif attempt is not None:
            reason = StopReason.CANCELLED if revoke.cancelled else StopReason.PAUSED
            self._stop(key, attempt, reason, commands)

    def _drained(self, drain: Drain, now: float) -> None:
        if drain.draining:
            grace_s = drain.grace.ToMilliseconds() / 1000 if drain.HasField("grace") else inf
            self._drains.begin(DrainCause.ADMINISTRATOR, now + grace_s)
        else:
            self._drains.end(DrainCause.ADMINISTRATOR)

    def _stale(self, key: LeaseKey, commands: list[Command]) -> None:
        attempt = self._attempts.get(key)
        if attempt is not None:
            self._stop(key, attempt, StopReason.STALE, commands)
            self._attempts.hush(key)
            self._logs.drop(key)
        result = self._results.withdraw(key)
        if result is not None:
            _forget([result], commands, remove_outputs=True)

    def _stop(self, key: LeaseKey, attempt: UnderWay, reason: StopReason, commands: list[Command]) -> None:
        """Stop an attempt, once for each reason that outweighs the one before."""
        if reason.outweighs(attempt.stop):
            attempt.stop = reason
            commands.append(StopAttempt(key=key, reason=reason))

    def _owe(self, key: LeaseKey, result: Result) -> None:
        self._results.owe(key, result, live=self.phase is Phase.LIVE)

    def _log_of(self, key: LeaseKey) -> AttemptLog | None:
        attempt = self._attempts.get(key)
        if attempt is None or attempt.stale:
            return None
        if attempt.log is None:
            attempt.log = AttemptLog(attempt.lease)
        self._logs.talks(key, attempt.log)
        return attempt.log

    def _add_chatter(self, request: WorkRequest, now: float) -> None:
        """Add progress, and let what attempts under way have logged go with this message."""
        self._chatter_at = now + CHATTER_INTERVAL_S
        self._attempts.add_progress(request)
        self._logs.due()

    def _add_heartbeat(self, request: WorkRequest, now: float, load: float) -> None:
        beat = request.heartbeat
        beat.sequence, beat.running, beat.load = self.pulse.beat(now), len(self._attempts), load
        beat.devices.extend(self.cards.readings(now, self._attempts.devices()))

    def _add_credit(self, request: WorkRequest) -> None:
        free = self._slots - len(self._attempts) - self._results.unsent - self._credit_out
        if free > 0:
            request.credit = free
            self._credit_out += free

    def _add_leave(self, request: WorkRequest) -> None:
        if not self._drain_said:
            request.drain = self._drain_said = True
        if self._attempts or self._results or self._logs.has_due:
            return
        if self._logs.kept_by:
            if self._logs.kept_by >= self.pulse.next_sequence:
                self.pulse.hasten()  # its answer lets the worker go
            return
        request.goodbye = True
        self.phase = Phase.LEFT

    def _may_leave(self, now: float) -> bool:
        """Whether to end without a goodbye: with nothing to deliver and nobody there, or out of time."""
        if not self._drains.leaving or self.phase is Phase.LEFT:
            return False
        idle = not self._attempts and not self._results
        return (idle and self.phase is not Phase.LIVE) or now >= self._drains.leave_by + LEAVE_GRACE_S


def _forget(results: list[Result], commands: list[Command], *, remove_outputs: bool) -> None:
    if results:
        commands.append(ForgetResults(results=results, remove_outputs=remove_outputs))
