"""How attempts are brought to their end, against a scheduler that does what each test says."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.errors import BadInputError
from callsheet.params import NoParams
from callsheet.v1.job_pb2 import FailureKind, StopRung
from callsheet.v1.lease_service_pb2 import Drain, Grant, LeaseRef, ResultFate, Revoke, WorkResponse
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.runtime import SPOOLED_AFTER_S
from tests.support.media import video
from tests.support.plug_ins import STRIDE_BYTES, Digest, Encode, digest_of
from tests.support.processes import ended, until
from tests.support.scripted_scheduler import ScriptedScheduler, Stream, scripted_scheduler
from tests.support.worker_processes import encoders_of
from tests.support.workers import RunningWorker, running_worker

CONTENT = bytes(range(256)) * 4096
ENCODE = json.dumps({"path": "film.mp4", "outputPath": "out.mkv", "live": True})


@pytest.fixture
async def scheduler() -> AsyncIterator[ScriptedScheduler]:
    async with scripted_scheduler() as scheduler:
        yield scheduler


@pytest.fixture
async def worker(scheduler: ScriptedScheduler, tmp_path: Path) -> AsyncIterator[RunningWorker]:
    async with running_worker(
        scheduler.port,
        tmp_path,
        more=[Digest(), Encode()],
        children=1,
        stop_ask_grace_s=0.1,
        stop_term_grace_s=1.0,
    ) as worker:
        (tmp_path / "made" / "file.bin").write_bytes(CONTENT)
        yield worker


class Regrets(Processor[NoParams]):
    """Publishes, then finds that it should not have."""

    job_type = JobType(name="regrets", description="Publishes and fails.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        made = await context.stage("made", "first-half.bin")
        await made.write(b"half")
        await context.publish(made)
        raise BadInputError("the second half is missing")


def digest(pace_s: float, *, token: int = 1, checkpoint: str = "") -> Grant:
    params = json.dumps({"path": "file.bin", "paceS": pace_s})
    lease = LeaseRef(job_id="01890a5d-ac96-774b-bcce-000000000001", token=token)
    return Grant(
        lease=lease, type="test_digest", params_json=params, attempt=token, checkpoint_json=checkpoint
    )


async def encoding(stream: Stream, folder: Path) -> tuple[LeaseRef, int]:
    """Begin an encode that takes a minute and return its lease and its ffmpeg."""
    video(folder / "made" / "film.mp4", seconds=60, size="128x72")
    (lease,) = stream.grant("test_encode", params=ENCODE, run_limit_s=600)
    await stream.started(lease)
    await until(lambda: bool(encoders_of(os.getpid())))
    await stream.until(lambda said: any(one.lease == lease for request in said for one in request.logs))
    (encoder,) = encoders_of(os.getpid())
    return lease, encoder


async def test_processor_that_ends_when_it_is_asked_says_so(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("patient")
    await stream.started(lease)

    stream.revoke(lease, cancelled=True)

    failed = (await stream.result(lease)).failed
    assert (failed.kind, failed.stop_rung) == (
        FailureKind.FAILURE_KIND_CANCELLED,
        StopRung.STOP_RUNG_ASKED,
    )
    assert worker.patient.cancelled == 1


async def test_attempt_cancelled_in_the_message_that_grants_it_never_begins_and_says_so(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    lease = LeaseRef(job_id="01890a5d-ac96-774b-bcce-000000000001", token=1)
    grant = Grant(lease=lease, type="patient", run_limit_s=60)

    stream.say(WorkResponse(grants=[grant], revokes=[Revoke(lease=lease, cancelled=True)]))

    failed = (await stream.result(lease)).failed
    assert (failed.kind, failed.stop_rung) == (
        FailureKind.FAILURE_KIND_CANCELLED,
        StopRung.STOP_RUNG_BEFORE_START,
    )
    assert worker.patient.begun == 0


async def test_encoder_of_a_cancelled_job_is_terminated_and_its_file_removed(
    scheduler: ScriptedScheduler, worker: RunningWorker, tmp_path: Path
) -> None:
    stream = await scheduler.welcomed()
    lease, encoder = await encoding(stream, tmp_path)

    stream.revoke(lease, cancelled=True)

    failed = (await stream.result(lease)).failed
    assert failed.stop_rung == StopRung.STOP_RUNG_TERMINATED
    assert ended(encoder)
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"film.mp4", "file.bin"}


async def test_encoder_that_does_not_heed_sigterm_is_killed(
    scheduler: ScriptedScheduler, worker: RunningWorker, tmp_path: Path
) -> None:
    stream = await scheduler.welcomed()
    lease, encoder = await encoding(stream, tmp_path)
    os.kill(encoder, signal.SIGSTOP)  # as one that waits for a disk for good

    stream.revoke(lease, cancelled=True)

    failed = (await stream.result(lease)).failed
    assert failed.stop_rung == StopRung.STOP_RUNG_KILLED
    assert ended(encoder)


async def test_long_attempt_whose_lease_is_stale_leaves_nothing_in_the_spool(
    scheduler: ScriptedScheduler, worker: RunningWorker, tmp_path: Path
) -> None:
    stream = await scheduler.welcomed()
    lease, _ = await encoding(stream, tmp_path)
    await stream.until(lambda _: f"out_time_us={SPOOLED_AFTER_S + 1:.0f}" in stream.log_of(lease))

    stream.revoke(lease, cancelled=False)
    await stream.until(lambda said: sum(request.credit for request in said) == 1)

    assert list((tmp_path / "spool").glob("*.result*")) == []
    assert not any(request.results for request in stream.requests)


async def test_job_that_was_done_when_its_cancellation_came_leaves_no_file(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path, more=[Encode()], children=1, stop_ask_grace_s=60.0):
        video(tmp_path / "made" / "film.mp4", seconds=2, size="128x72")
        stream = await scheduler.welcomed()
        (lease,) = stream.grant("test_encode", params=ENCODE, run_limit_s=600)
        await stream.started(lease)
        await until(lambda: bool(encoders_of(os.getpid())))

        stream.revoke(lease, cancelled=True)

        failed = (await stream.result(lease)).failed
        assert failed.stop_rung == StopRung.STOP_RUNG_ASKED
        await until(lambda: {path.name for path in (tmp_path / "made").iterdir()} == {"film.mp4"})


async def test_resumable_job_stops_at_its_next_checkpoint_and_goes_on_from_it(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    first = digest(0.1)
    stream.say(WorkResponse(grants=[first]))
    await stream.until(lambda said: any(one.percent for request in said for one in request.progress))

    stream.say(WorkResponse(revokes=[Revoke(lease=first.lease, paused=True)]))
    paused = await stream.result(first.lease)
    checkpoint = json.loads(paused.paused.checkpoint_json)
    stream.acknowledge(first.lease)
    second = digest(0.0, token=2, checkpoint=paused.paused.checkpoint_json)
    stream.say(WorkResponse(grants=[second]))
    done = json.loads((await stream.result(second.lease)).completed.result_json)

    assert 0 < checkpoint["offset"] < len(CONTENT)
    assert done["digest"] == digest_of(CONTENT)
    assert done["strides"] == (len(CONTENT) - checkpoint["offset"]) // STRIDE_BYTES
    assert f"from byte {checkpoint['offset']}" in stream.log_of(second.lease)


async def test_resumable_job_of_a_drained_worker_is_handed_back_at_its_next_checkpoint(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    grant = digest(0.1)
    stream.say(WorkResponse(grants=[grant]))
    await stream.until(lambda said: any(one.percent for request in said for one in request.progress))
    drain = Drain(draining=True)
    drain.grace.FromSeconds(600)

    stream.say(WorkResponse(drain=drain))

    result = await stream.result(grant.lease)
    assert result.WhichOneof("outcome") == "returned"
    assert 0 < json.loads(result.returned.checkpoint_json)["offset"] < len(CONTENT)


async def test_drain_without_a_limit_lets_a_resumable_job_come_to_its_end(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    grant = digest(0.05)
    stream.say(WorkResponse(grants=[grant]))
    await stream.until(lambda said: any(one.percent for request in said for one in request.progress))

    stream.say(WorkResponse(drain=Drain(draining=True)))

    assert (await stream.result(grant.lease)).HasField("completed")


async def test_pause_comes_too_late_for_a_job_without_a_further_checkpoint(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("patient")
    await stream.started(lease)

    stream.say(WorkResponse(revokes=[Revoke(lease=lease, paused=True)]))
    worker.patient.go_on.set()

    assert (await stream.result(lease)).HasField("completed")


async def test_paused_result_outlives_the_worker_that_reports_it(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path, more=[Digest()]):
        (tmp_path / "made" / "file.bin").write_bytes(CONTENT)
        stream = await scheduler.welcomed()
        grant = digest(0.1)
        stream.say(WorkResponse(grants=[grant], revokes=[Revoke(lease=grant.lease, paused=True)]))
        result = await stream.result(grant.lease)

    async with running_worker(scheduler.port, tmp_path):
        again = await scheduler.welcomed()
        assert await again.result(grant.lease) == result
        assert json.loads(result.paused.checkpoint_json)["offset"] == STRIDE_BYTES


async def test_administrators_drain_hands_back_after_its_grace_and_ends_when_it_is_lifted(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("patient")
    await stream.started(lease)
    drain = Drain(draining=True)
    drain.grace.FromMilliseconds(100)

    stream.say(WorkResponse(drain=drain))
    (late,) = stream.grant("noop", first=2)

    assert (await stream.result(late)).returned.reason == "The worker is drained"
    assert (await stream.result(lease)).returned.reason == "The worker is drained"
    stream.acknowledge(late)
    stream.acknowledge(lease)
    assert not any(request.credit or request.goodbye for request in stream.requests)
    stream.say(WorkResponse(drain=Drain(draining=False)))
    await stream.until(lambda said: sum(request.credit for request in said) == 2)
    (next_one,) = stream.grant("noop", first=3)
    assert (await stream.result(next_one)).HasField("completed")


async def test_stale_result_takes_the_output_that_waits_for_its_place_with_it(
    scheduler: ScriptedScheduler, worker: RunningWorker, tmp_path: Path
) -> None:
    video(tmp_path / "made" / "film.mp4", seconds=1, size="128x72")
    stream = await scheduler.welcomed()
    stale, good = stream.grant("test_encode", "test_encode", params=ENCODE, run_limit_s=600)
    (output,) = (await stream.result(good)).completed.outputs
    await stream.result(stale)
    assert len(waiting(tmp_path)) == 2

    stream.acknowledge(good)
    stream.acknowledge(stale, ResultFate.RESULT_FATE_STALE)

    await until(lambda: waiting(tmp_path) == [output.staged_path])
    stream.say(WorkResponse(place=[output, output]))
    await stream.until(lambda said: any(request.placed for request in said))
    assert (tmp_path / "made" / "out.mkv").exists()
    stream.say(WorkResponse(place=[output]))
    await stream.until(lambda said: sum(len(request.placed) for request in said) == 2)
    assert {one.problem for request in stream.requests for one in request.placed} == {""}


async def test_attempt_that_fails_after_it_published_leaves_nothing(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path, more=[Regrets()]):
        stream = await scheduler.welcomed()
        (lease,) = stream.grant("regrets")

        assert (await stream.result(lease)).failed.reason == "the second half is missing"
        await until(lambda: waiting(tmp_path) == [])


def waiting(folder: Path) -> list[str]:
    return [path.name for path in (folder / "made").iterdir() if path.name.endswith(".staged")]
