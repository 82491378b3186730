"""The laws of a worker's session, against a peer that loses streams and messages at will."""

from collections import deque
from collections.abc import Sequence
from math import inf

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from callsheet.v1.lease_service_pb2 import (
    Completed,
    Drain,
    Grant,
    Hello,
    LeaseRef,
    Output,
    Placed,
    Result,
    ResultAck,
    ResultFate,
    Revoke,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.worker.stream.commands import (
    Command,
    ForgetResults,
    LeaseKey,
    Leave,
    PlaceOutputs,
    StartAttempts,
    StopAttempt,
    StopReason,
    key_of,
)
from callsheet.worker.stream.session import Phase, Session

SLOTS = 3

#: What an attempt may have been asked for that goes on.
ASKED = {None, StopReason.PAUSED, StopReason.HANDED_ON}
AT = Timestamp(seconds=1)
FATES = st.sampled_from(
    [
        ResultFate.RESULT_FATE_COMMITTED,
        ResultFate.RESULT_FATE_DUPLICATE,
        ResultFate.RESULT_FATE_STALE,
        ResultFate.RESULT_FATE_REFUSED,
    ]
)


def ref(key: LeaseKey) -> LeaseRef:
    return LeaseRef(job_id=key[0], token=key[1])


class SessionLaws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.session = Session(Hello(worker_id="w", slots=SLOTS), now=0.0)
        self.tokens = 0
        self.in_flight: deque[WorkRequest] = deque()
        self.running: dict[LeaseKey, StopReason | None] = {}
        self.ever_started: set[LeaseKey] = set()
        self.owed: dict[LeaseKey, Result] = {}
        self.sent: set[LeaseKey] = set()
        self.delivered: set[LeaseKey] = set()
        self.credit_out = 0
        self.credit_at_peer = 0
        self.said: dict[LeaseKey, list[str]] = {}
        self.heard: dict[LeaseKey, dict[int, str]] = {}
        self.heartbeats: list[int] = []
        self.percent: dict[LeaseKey, int] = {}
        self.drained_until = inf
        self.drained = self.leaving = False
        self.leaving_until = inf
        self.placed: list[Placed] = []

    @property
    def takes_leases(self) -> bool:
        return not (self.drained or self.leaving)

    # What the peer does

    @precondition(lambda self: self.session.phase is Phase.APART)
    @rule()
    def open_a_stream(self) -> None:
        hello = self.session.stream_opened(self.now).hello
        live = {key for key, stop in self.running.items() if stop is not StopReason.STALE}
        assert {key_of(lease) for lease in hello.held} == live | self.owed.keys()
        assert len(hello.held) == len(live) + len(self.owed)
        assert self.takes_leases or hello.credit == 0
        self.credit_out = self.credit_at_peer = hello.credit
        self.sent = set()

    @precondition(lambda self: self.session.phase is Phase.OPENING)
    @rule(data=st.data())
    def welcome(self, data: st.DataObject) -> None:
        held = sorted({*self.running, *self.owed})
        stale = [key for key in held if data.draw(st.integers(0, 3)) == 0]
        welcome = Welcome(
            lease_ttl=Duration(seconds=30),
            heartbeat_interval=Duration(seconds=1),
            orphan_limit=Duration(seconds=900),
            stale=[ref(key) for key in stale],
        )
        for key in stale:
            self._lose(key)
        self._work_again()
        self._receive(WorkResponse(welcome=welcome))

    @precondition(lambda self: self.session.phase is Phase.LIVE)
    @rule(excess=st.integers(0, 1), wanted=st.integers(1, SLOTS))
    def grant_new_jobs(self, excess: int, wanted: int) -> None:
        keys = [self._new_key() for _ in range(min(wanted, self.credit_at_peer) + excess)]
        self._grant(keys)

    @precondition(lambda self: self.session.phase is Phase.LIVE and self.running and self.credit_at_peer)
    @rule(data=st.data())
    def grant_a_job_again(self, data: st.DataObject) -> None:
        job_id, token = data.draw(st.sampled_from(sorted(self.running)))
        if any(key[0] == job_id and key[1] > token for key in self.running):
            return
        self.tokens += 1
        self._lose((job_id, token))
        self._grant([(job_id, self.tokens)])

    @precondition(lambda self: self.session.phase is Phase.LIVE and (self.running or self.owed))
    @rule(data=st.data())
    def repeat_a_grant(self, data: st.DataObject) -> None:
        self._grant([data.draw(st.sampled_from(sorted({*self.running, *self.owed})))])

    @precondition(lambda self: self.session.phase is Phase.LIVE and (self.running or self.owed))
    @rule(data=st.data(), why=st.sampled_from([StopReason.CANCELLED, StopReason.PAUSED, StopReason.STALE]))
    def revoke(self, data: st.DataObject, why: StopReason) -> None:
        key = data.draw(st.sampled_from(sorted({*self.running, *self.owed})))
        earlier = self.running.get(key, StopReason.STALE)
        lost = self.owed.get(key)
        heard = earlier is None or (earlier in ASKED and why is not StopReason.PAUSED)
        heard = heard or (why is StopReason.STALE and earlier is not StopReason.STALE)
        if why is StopReason.STALE:
            self._lose(key)
        elif heard:
            self.running[key] = why
        paused, cancelled = why is StopReason.PAUSED, why is StopReason.CANCELLED
        said = self._receive(
            WorkResponse(revokes=[Revoke(lease=ref(key), cancelled=cancelled, paused=paused)])
        )
        forgotten = [ForgetResults(results=[lost], remove_outputs=True)] if lost is not None else []
        assert said == (
            [StopAttempt(key=key, reason=why)] if heard else forgotten if why is StopReason.STALE else []
        )

    @precondition(lambda self: self.session.phase is Phase.LIVE)
    @rule(grace_s=st.none() | st.integers(0, 5))
    def drain(self, grace_s: int | None) -> None:
        grace = None if grace_s is None else Duration(seconds=grace_s)
        self._receive(WorkResponse(drain=Drain(draining=True, grace=grace)))
        self.drained = True
        self.drained_until = inf if grace_s is None else self.now + grace_s

    @precondition(lambda self: self.session.phase is Phase.LIVE and self.drained)
    @rule()
    def let_work_again(self) -> None:
        self._receive(WorkResponse(drain=Drain(draining=False)))
        self._work_again()

    @precondition(lambda self: self.session.phase is not Phase.LEFT and len(self.ever_started) > 5)
    @rule(grace_s=st.integers(0, 5))
    def tell_to_leave(self, grace_s: int) -> None:
        self.session.drain(self.now, grace_s=grace_s)
        self.leaving = True
        self.leaving_until = self.now + grace_s

    @precondition(lambda self: self.session.phase is Phase.LIVE)
    @rule(count=st.integers(1, 3))
    def ask_to_place(self, count: int) -> None:
        outputs = [Output(lease=LeaseRef(job_id=f"job-{one}"), path="a") for one in range(count)]
        assert self._receive(WorkResponse(place=outputs)) == [PlaceOutputs(outputs=outputs)]

    @rule()
    def place(self) -> None:
        placed = Placed(problem=f"number {len(self.placed)}")
        self.placed.append(placed)
        self.session.output_placed(placed)

    @precondition(lambda self: self.session.phase is Phase.LIVE and self.delivered & self.owed.keys())
    @rule(data=st.data(), fate=FATES)
    def acknowledge(self, data: st.DataObject, fate: ResultFate.ValueType) -> None:
        key = data.draw(st.sampled_from(sorted(self.delivered & self.owed.keys())))
        result = self.owed.pop(key)
        ack = ResultAck(lease=ref(key), fate=fate)
        (command,) = self._receive(WorkResponse(result_acks=[ack, ack]))
        stands = fate in {ResultFate.RESULT_FATE_COMMITTED, ResultFate.RESULT_FATE_DUPLICATE}
        assert command == ForgetResults(results=[result], remove_outputs=not stands)

    @precondition(lambda self: self.in_flight)
    @rule()
    def deliver(self) -> None:
        request = self.in_flight.popleft()
        self.credit_at_peer += request.credit
        self.delivered |= {key_of(result.lease) for result in request.results}
        for chunk in request.logs:
            heard = self.heard.setdefault(key_of(chunk.lease), {})
            assert heard.setdefault(chunk.sequence, chunk.text) == chunk.text
            assert sorted(heard) == list(range(1, len(heard) + 1)), "a gap"
        if request.HasField("heartbeat"):
            self.heartbeats.append(request.heartbeat.sequence)

    @precondition(lambda self: self.session.phase is Phase.LIVE and self.heartbeats)
    @rule(kept=st.booleans())
    def answer_heartbeats(self, *, kept: bool) -> None:
        newest = self.heartbeats[-1]
        self._receive(WorkResponse(heartbeat_ack=newest, logs_kept=newest if kept else 0))
        self.heartbeats.clear()

    @precondition(lambda self: self.session.phase in {Phase.LIVE, Phase.OPENING})
    @rule(jitter=st.floats(0, 1))
    def lose_the_stream(self, jitter: float) -> None:
        self.in_flight.clear()
        self.heartbeats.clear()
        again_at = self.session.stream_lost(self.now, jitter=jitter)
        assert 0.049 < again_at - self.now < 5.001
        self.credit_out = self.credit_at_peer = 0

    # What the attempts do

    @precondition(lambda self: self.running)
    @rule(data=st.data(), size=st.integers(1, 6000))
    def log(self, data: st.DataObject, size: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        text = "x" * size
        self.session.attempt_logged(key, text, "")
        if self.running[key] is not StopReason.STALE:
            self.said.setdefault(key, []).append(text[:4095] + "\n")

    @precondition(lambda self: self.running)
    @rule(data=st.data(), percent=st.integers(-5, 120))
    def progress(self, data: st.DataObject, percent: int) -> None:
        self.session.attempt_progressed(data.draw(st.sampled_from(sorted(self.running))), percent)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end_an_attempt(self, data: st.DataObject) -> None:
        self._end(data.draw(st.sampled_from(sorted(self.running))))

    # Time and the wire

    @precondition(lambda self: self.session.phase is Phase.LIVE)
    @rule()
    def flush(self) -> None:
        request = self.session.flush(self.now, load=0.0)
        if request is None:
            return
        assert self.takes_leases or not request.credit
        assert list(request.placed) == self.placed
        self.placed.clear()
        self.credit_out += request.credit
        if request.drain:
            assert self.leaving
            self.credit_out = 0
        if request.goodbye:
            assert not self.running
            assert not self.owed
        for result in request.results:
            key = key_of(result.lease)
            assert self.owed[key] == result
            assert key not in self.sent, "sent twice on one stream"
            self.sent.add(key)
        for progress in request.progress:
            key = key_of(progress.lease)
            assert self.percent.get(key, 0) <= progress.percent <= 100
            self.percent[key] = progress.percent
        self.in_flight.append(request)

    @rule(passed=st.floats(0.0, 2.0))
    def time_passes(self, passed: float) -> None:
        self.now += passed
        limit = min(self.drained_until, self.leaving_until)
        over = self.now >= limit
        for command in self.session.tick(self.now):
            assert not isinstance(command, StartAttempts | ForgetResults)
            if isinstance(command, StopAttempt):
                assert limit < inf
                assert command.reason is (StopReason.DRAIN if over else StopReason.HANDED_ON)
                assert self.running[command.key] in (ASKED if over else {None})
                self.running[command.key] = command.reason
            if isinstance(command, Leave):
                assert self.leaving
                assert command.undelivered == len(self.owed)
        if over:
            assert not ASKED & set(self.running.values()), "ran on after the grace"

    @invariant()
    def credit_never_promises_more_than_the_slots(self) -> None:
        unsent = len(self.owed.keys() - self.sent) if self.session.phase is Phase.LIVE else len(self.owed)
        assert self.credit_out == 0 or self.credit_out + len(self.running) + unsent <= SLOTS
        assert self.session.running == len(self.running) <= SLOTS
        assert self.session.undelivered == len(self.owed)

    @override
    def teardown(self) -> None:
        """Let the faults stop: everything owed arrives, all that was said is heard, who has to leaves."""
        if self.session.phase is Phase.LEFT:
            return
        if self.session.phase is Phase.APART:
            self.open_a_stream()
        if self.session.phase is Phase.OPENING:
            welcome = Welcome(lease_ttl=Duration(seconds=30), heartbeat_interval=Duration(seconds=1))
            self._work_again()
            self._receive(WorkResponse(welcome=welcome))
        if self.drained:
            self.let_work_again()
        for key in list(self.running):
            self._end(key)
        self.now += 1
        self._flush_all()
        assert self.owed.keys() <= self.sent
        for key, lines in self.said.items():
            if key in self.owed:
                assert "".join(self.heard[key][n] for n in sorted(self.heard[key])) == "".join(lines)
        if not self.leaving:
            assert self.credit_out == SLOTS
            return
        self._leave()

    # Inside

    def _leave(self) -> None:
        for key in list(self.owed):
            self._receive(WorkResponse(result_acks=[ResultAck(lease=ref(key))]))
            del self.owed[key]
        self._flush_all()
        while self.session.connected:
            assert self.heartbeats, "nothing is asked that would let the worker go"
            self.answer_heartbeats(kept=True)
            self._flush_all()

    def _work_again(self) -> None:
        self.drained = False
        self.drained_until = inf

    def _flush_all(self) -> None:
        before = -1
        while before < len(self.in_flight) and self.session.phase is Phase.LIVE:
            before = len(self.in_flight)
            self.flush()
        while self.in_flight:
            self.deliver()

    def _new_key(self) -> LeaseKey:
        self.tokens += 1
        return f"job-{self.tokens}", self.tokens

    def _grant(self, keys: Sequence[LeaseKey]) -> None:
        fresh = [key for key in keys if key not in self.running and key not in self.owed]
        room = SLOTS - len(self.running) if self.takes_leases else 0
        for key in fresh[room:]:
            self.owed[key] = Result()
        self.credit_out = max(0, self.credit_out - len(keys))
        self.credit_at_peer = max(0, self.credit_at_peer - len(keys))
        started, excess = fresh[:room], fresh[room:]
        self.running.update(dict.fromkeys(started))
        commands = self._receive(WorkResponse(grants=[Grant(lease=ref(key)) for key in keys]))
        begun = [
            key_of(grant.lease) for one in commands if isinstance(one, StartAttempts) for grant in one.grants
        ]
        assert begun == started
        assert not self.ever_started & set(begun), "started twice"
        self.ever_started.update(begun)
        for key in excess:
            self.owed[key] = Result(lease=ref(key), ended_at=AT)
            full = f"All {SLOTS} slots of the worker are taken"
            self.owed[key].returned.reason = full if self.takes_leases else "The worker is drained"

    def _lose(self, key: LeaseKey) -> None:
        self.owed.pop(key, None)
        if key in self.running:
            self.running[key] = StopReason.STALE
            self.said.pop(key, None)

    def _receive(self, response: WorkResponse) -> list[Command]:
        return self.session.received(response, self.now, AT)

    def _end(self, key: LeaseKey) -> None:
        result = Result(lease=ref(key), started_at=AT, ended_at=AT, completed=Completed(result_json="{}"))
        stop = self.running.pop(key)
        self.session.attempt_ended(key, result)
        if stop is not StopReason.STALE:
            self.owed[key] = result


TestSessionLaws = SessionLaws.TestCase
TestSessionLaws.settings = settings(max_examples=400, stateful_step_count=50)
