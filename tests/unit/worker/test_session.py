"""Single moves of a worker's session that its laws do not spell out."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.lease_service_pb2 import (
    Completed,
    Drain,
    Grant,
    Hello,
    LeaseRef,
    Result,
    ResultAck,
    ResultFate,
    Revoke,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.worker.stream.commands import HangUp, Leave, StartAttempts, StopAttempt, StopReason
from callsheet.worker.stream.session import REQUEST_BYTES, Session

AT = Timestamp(seconds=1)
WELCOME = Welcome(
    lease_ttl=Duration(seconds=30), heartbeat_interval=Duration(seconds=6), orphan_limit=Duration(seconds=900)
)


def live_session(*, slots: int = 2, now: float = 0.0) -> Session:
    session = Session(Hello(worker_id="w", slots=slots), now=now)
    session.stream_opened(now)
    session.received(WorkResponse(welcome=WELCOME), now, AT)
    return session


def granted(session: Session, *tokens: int, run_limit_s: int = 60, now: float = 0.0) -> None:
    grants = [
        Grant(lease=LeaseRef(job_id=f"job-{token}", token=token), run_limit_s=run_limit_s) for token in tokens
    ]
    (command,) = session.received(WorkResponse(grants=grants), now, AT)
    assert command == StartAttempts(grants=grants)


def ended(session: Session, token: int, text: str = "{}") -> None:
    lease = LeaseRef(job_id=f"job-{token}", token=token)
    session.attempt_ended(
        (f"job-{token}", token), Result(lease=lease, ended_at=AT, completed=Completed(result_json=text))
    )


def flushed(session: Session, now: float = 0.0) -> WorkRequest:
    request = session.flush(now, load=0.0)
    assert request is not None
    return request


def test_attempt_that_ended_before_its_start_was_told_is_told_of_once() -> None:
    session = live_session()
    granted(session, 1)
    ended(session, 1)

    request = flushed(session)

    assert not request.started
    assert [result.lease.token for result in request.results] == [1]


def test_new_stream_hears_again_what_runs_and_how_far_it_is() -> None:
    session = live_session()
    granted(session, 1)
    session.attempt_progressed(("job-1", 1), 40)
    session.attempt_progressed(("job-1", 1), 30)
    flushed(session)

    session.stream_lost(1.0, jitter=0.0)
    session.stream_opened(1.0)
    session.received(WorkResponse(welcome=WELCOME), 1.0, AT)
    request = flushed(session, 1.0)

    assert [started.started_at for started in request.started] == [AT]
    assert [progress.percent for progress in request.progress] == [40]


def test_heartbeats_follow_the_interval_of_the_welcome() -> None:
    session = live_session()

    assert flushed(session, 0.0).heartbeat.sequence == 1
    assert session.flush(5.9, load=0.0) is None
    assert flushed(session, 6.0).heartbeat.sequence == 2


def test_lease_counts_from_when_the_answered_heartbeat_was_sent() -> None:
    session = live_session()
    flushed(session, 0.0)
    flushed(session, 6.0)

    session.received(WorkResponse(heartbeat_ack=1), 20.0, AT)
    assert session.pulse.lease_until == 30.0
    session.received(WorkResponse(heartbeat_ack=2), 21.0, AT)

    assert session.pulse.lease_until == 36.0


def test_expired_lease_hangs_up_and_ends_no_attempt() -> None:
    session = live_session()
    granted(session, 1, run_limit_s=600)

    assert session.tick(30.0) == []
    assert session.tick(30.1) == [HangUp(reason="the scheduler did not answer heartbeats")]


def test_orphan_limit_and_run_limit_each_stop_an_attempt_once() -> None:
    session = live_session()
    granted(session, 1, run_limit_s=60)
    granted(session, 2, run_limit_s=0)
    session.stream_lost(1.0, jitter=0.0)

    assert session.tick(60.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.RUN_LIMIT)]
    assert session.tick(899.9) == []
    assert session.tick(900.0) == [StopAttempt(key=("job-2", 2), reason=StopReason.SILENCE)]
    assert session.tick(901.0) == []


def test_results_beyond_one_message_go_with_the_next() -> None:
    session = live_session(slots=20)
    granted(session, *range(20))
    for token in range(20):
        ended(session, token, '"' + "x" * 60_000 + '"')

    requests = [flushed(session) for _ in range(3)]

    assert [len(request.results) for request in requests] == [9, 9, 2]
    assert max(request.ByteSize() for request in requests) < REQUEST_BYTES * 1.25
    assert sum(request.credit for request in requests) == 20
    assert session.flush(0.0, load=0.0) is None


def test_drained_session_says_goodbye_once_everything_is_acknowledged() -> None:
    session = live_session()
    granted(session, 1)
    flushed(session)

    session.drain(1.0, grace_s=10.0)
    assert flushed(session, 1.0).drain
    assert session.tick(1.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.HANDED_ON)]
    assert session.tick(10.9) == []
    assert session.tick(11.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.DRAIN)]
    ended(session, 1)
    handing_back = flushed(session, 11.0)
    assert (handing_back.drain, handing_back.goodbye, handing_back.credit) == (False, False, 0)
    ack = ResultAck(lease=LeaseRef(job_id="job-1", token=1), fate=ResultFate.RESULT_FATE_COMMITTED)
    session.received(WorkResponse(result_acks=[ack]), 11.0, AT)

    last = flushed(session, 11.0)
    assert (last.goodbye, last.credit) == (True, 0)
    assert session.flush(12.0, load=0.0) is None


@pytest.mark.parametrize("idle", [True, False])
def test_drain_without_a_scheduler_ends_when_nothing_is_left_or_time_is_over(*, idle: bool) -> None:
    session = live_session()
    if not idle:
        granted(session, 1)
        ended(session, 1)
    session.stream_lost(1.0, jitter=0.0)
    session.stream_opened(1.0)

    session.drain(1.0, grace_s=5.0)

    said = session.tick(1.0) if idle else [*session.tick(15.9), *session.tick(16.0)]
    assert [command for command in said if isinstance(command, Leave)] == [
        Leave(undelivered=0 if idle else 1)
    ]


def test_waits_for_a_scheduler_grow_until_a_heartbeat_is_answered() -> None:
    session = live_session()

    waits = [session.stream_lost(0.0, jitter=1.0) for _ in range(8)]
    session.stream_opened(0.0)
    session.received(WorkResponse(welcome=WELCOME), 0.0, AT)
    still = session.stream_lost(0.0, jitter=1.0)
    session.stream_opened(0.0)
    session.received(WorkResponse(welcome=WELCOME), 0.0, AT)
    flushed(session)
    session.received(WorkResponse(heartbeat_ack=1), 0.0, AT)

    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert still == 5.0
    assert session.stream_lost(0.0, jitter=0.0) == pytest.approx(0.05)


def test_first_message_that_is_no_welcome_hangs_up() -> None:
    session = Session(Hello(worker_id="w", slots=1), now=0.0)
    session.stream_opened(0.0)

    commands = session.received(WorkResponse(grants=[Grant()]), 0.0, AT)

    assert commands == [HangUp(reason="the scheduler's first message was no welcome")]
    assert session.running == 0


def test_drained_worker_stays_and_hands_back_when_its_grace_is_over() -> None:
    session = live_session()
    granted(session, 1)
    flushed(session)

    session.received(WorkResponse(drain=Drain(draining=True, grace=Duration(seconds=5))), 1.0, AT)

    assert session.tick(1.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.HANDED_ON)]
    assert session.tick(5.9) == []
    assert session.tick(6.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.DRAIN)]
    ended(session, 1)
    request = flushed(session, 6.0)
    assert (request.credit, request.drain, request.goodbye) == (0, False, False)
    assert [result.lease.token for result in request.results] == [1]


def test_drain_without_a_grace_lets_attempts_end_in_their_own_time() -> None:
    session = live_session()
    granted(session, 1, run_limit_s=0)

    session.received(WorkResponse(drain=Drain(draining=True)), 1.0, AT)
    session.received(WorkResponse(heartbeat_ack=1), 800.0, AT)

    assert [one for one in session.tick(800.0) if isinstance(one, StopAttempt)] == []


def test_worker_that_may_work_again_says_what_it_can_take() -> None:
    session = live_session()
    granted(session, 1)
    flushed(session)
    session.received(WorkResponse(drain=Drain(draining=True)), 1.0, AT)
    ended(session, 1)
    assert flushed(session, 1.0).credit == 0

    session.received(WorkResponse(drain=Drain(draining=False)), 2.0, AT)

    assert flushed(session, 2.0).credit == 1


def test_drain_outlives_its_stream_until_another_welcome() -> None:
    session = live_session()
    granted(session, 1)
    session.received(WorkResponse(drain=Drain(draining=True, grace=Duration(seconds=5))), 1.0, AT)
    session.stream_lost(2.0, jitter=0.0)

    assert session.tick(6.0) == [StopAttempt(key=("job-1", 1), reason=StopReason.DRAIN)]
    assert session.stream_opened(7.0).hello.credit == 0
    session.received(WorkResponse(welcome=WELCOME), 7.0, AT)

    assert flushed(session, 7.0).credit == 1


def test_pause_asks_once_and_a_cancellation_outweighs_it() -> None:
    session = live_session()
    granted(session, 1)
    lease = LeaseRef(job_id="job-1", token=1)
    pause = WorkResponse(revokes=[Revoke(lease=lease, paused=True)])

    assert session.received(pause, 0.0, AT) == [StopAttempt(key=("job-1", 1), reason=StopReason.PAUSED)]
    assert session.received(pause, 0.0, AT) == []
    cancel = WorkResponse(revokes=[Revoke(lease=lease, cancelled=True)])
    assert session.received(cancel, 0.0, AT) == [StopAttempt(key=("job-1", 1), reason=StopReason.CANCELLED)]
    assert session.received(pause, 0.0, AT) == []
