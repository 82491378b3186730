"""The ledger of the GPUs as the tables keep it: through takeovers, tampering, and to the history of a job."""

import asyncio
import logging

import asyncpg
import pytest
from callsheet_scheduler.domain.device import SOFTWARE, DeviceId
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.maintenance.minutes import keep_minute
from callsheet_scheduler.maintenance.partitions import Partitions
from callsheet_scheduler.rpc.convert import job_to_wire
from callsheet_scheduler.rpc.fleet_convert import device_to_wire
from callsheet_scheduler.use_cases.grants import Attempt, Completion
from callsheet_scheduler.use_cases.jobs import Submission
from prometheus_client import REGISTRY

from callsheet.errors import InvalidError
from callsheet.ids import new_job_id
from callsheet.v1.fleet_service_pb2 import DEVICE_STATE_OK, DEVICE_STATE_UNREACHED
from tests.support.gpu_rounds import FAULTS, GpuWorker, Rounds
from tests.support.leader import Leader, leader
from tests.support.patience import PATIENCE_S


async def granted(rounds: Rounds, worker: GpuWorker, *, vram_mib: int) -> JobId:
    """Submit a job and wait until *worker* holds it."""
    job_id = await submitted(rounds.queue, vram_mib=vram_mib)
    await worker_holds(worker, job_id)
    return job_id


async def submitted(queue: Leader, *, vram_mib: int) -> JobId:
    """Submit a job."""
    wanted = Submission(id=new_job_id(), type="label", params="{}", vram_mib=vram_mib)
    [job] = await queue.jobs.submit([wanted])
    return job.id


async def worker_holds(worker: GpuWorker, job_id: JobId) -> None:
    """Wait until *worker* was granted a job."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(grant.job.id == job_id for grant in worker.hands.grants):
            worker.hands.told.clear()
            await worker.hands.told.wait()
    worker.take()


def attempt_of(worker: GpuWorker, now: float) -> Attempt:
    """Return the only attempt of *worker*, which ends."""
    [(job_id, token)] = worker.held
    worker.held.clear()
    return Attempt(job_id=job_id, token=token, started_at=now, ended_at=now)


async def lead_again(rounds: Rounds) -> None:
    """Let another leadership begin, with the workers away."""
    rounds.queue.term.commits.step_down("the test wants another leader")
    async with asyncio.timeout(PATIENCE_S):
        while not rounds.queue.leadership.leads:  # noqa: ASYNC110 -- the term that was lost may still stand
            await asyncio.sleep(0.01)


async def test_account_is_charged_with_the_grant_and_survives_a_takeover(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, 1)
        worker = rounds.workers[2]
        await rounds.come(worker)
        job_id = await granted(rounds, worker, vram_mib=2_000)
        [account] = [device_to_wire(view) for view in queue.devices.all()]
        assert (account.host, account.device.uuid, account.state) == ("borea", "GPU-borea", DEVICE_STATE_OK)
        assert (account.capacity_mib, account.margin_mib) == (4_512, 512)
        assert (account.allocated_mib, account.free_mib) == (2_000, 2_000)
        assert [(one.lease.job_id, one.type, one.worker_id) for one in account.allocations] == [
            (job_id, "label", "b1")
        ]
        assert await db_writer.fetch(FAULTS) == []
        await lead_again(rounds)
        [after] = [device_to_wire(view) for view in queue.devices.all()]
        assert (after.state, after.allocated_mib) == (DEVICE_STATE_UNREACHED, 2_000)
        assert [(one.lease, one.vram_mib) for one in after.allocations] == [
            (one.lease, one.vram_mib) for one in account.allocations
        ]


async def test_accounts_are_kept_by_the_minute_with_what_was_seen_and_forgotten_with_the_history(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, 1)
        worker = rounds.workers[2]
        await rounds.come(worker)
        await granted(rounds, worker, vram_mib=2_000)
        await keep_minute(queue.term)
        await keep_minute(queue.term)  # in the same minute, or in the next
        rounds.pass_seconds(120)
        await keep_minute(queue.term)
        kept = (await queue.devices.history(10))[DeviceId("GPU-borea")]
        assert [(one.at % 60, one.sample.allocated_mib) for one in kept] == [(0, 2_000)] * len(kept)
        assert len({one.at for one in kept}) == len(kept) in {2, 3}
        assert kept[-1].sample.observed_mib is None  # nobody has read the card for two minutes
        [view] = queue.devices.all()
        told = device_to_wire(view, kept).history
        assert (told[-1].allocated_mib, told[-1].HasField("observed_mib")) == (2_000, False)
        assert await queue.devices.history(0) == {}
        with pytest.raises(InvalidError, match="0 to 1440"):
            await queue.devices.history(1441)
        assert (
            await db_writer.fetchval("SELECT max(allocated_mb) FROM gpu_history WHERE host = 'borea'")
            == 2_000
        )
        rounds.pass_seconds(3 * 86_400)
        await Partitions(queue.leadership, fresh_dsn, history_days=2).round(queue.term)
        assert await queue.devices.history(1440) == {}
        assert await db_writer.fetchval("SELECT count(*) FROM device_sample") == 0


async def test_history_tells_the_card_its_share_and_what_was_used(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, 1)
        worker = rounds.workers[2]
        await rounds.come(worker)
        job_id = await granted(rounds, worker, vram_mib=2_000)
        assert worker.session is not None
        now = queue.term.commits.now()
        outcome = Outcome(ending=Ending.CAPACITY, reason="no room", peak_vram_mib=1_900)
        queue.grants.ended(worker.session, attempt_of(worker, now), outcome, now)
        queue.term.commits.flush()
        await queue.term.commits.quiet()
        await rounds.leave(worker)
        software = GpuWorker(name="s", host="dione", cards=())
        rounds.pass_seconds(60)
        await rounds.come(software)
        await worker_holds(software, job_id)
        assert software.session is not None
        now = queue.term.commits.now()
        queue.grants.completed(software.session, attempt_of(software, now), Completion(), now)
        queue.term.commits.flush()
        await queue.term.commits.quiet()
        job = job_to_wire(await queue.views.job(job_id))
        assert (job.device_uuid, job.software) == ("", True)
        assert [(one.device_uuid, one.software, one.vram_mib, one.peak_vram_mib) for one in job.attempts] == [
            ("GPU-borea", False, 2_000, 1_900),
            ("", True, 0, 0),
        ]
        stored = await db_writer.fetchval("SELECT device FROM job_done WHERE id = $1::text::uuid", job_id)
        assert stored == SOFTWARE


async def test_database_refuses_an_overdraft(fresh_dsn: str, db_writer: asyncpg.Connection) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, 1)
        await rounds.come(rounds.workers[2])
        await queue.term.commits.quiet()
    with pytest.raises(asyncpg.CheckViolationError, match="device_memory_is_not_overdrawn"):
        await db_writer.execute("UPDATE device SET allocated_mib = 4001")
    with pytest.raises(asyncpg.CheckViolationError, match="device_sessions_are_not_overdrawn"):
        await db_writer.execute("UPDATE device SET encoder_sessions = 3")


async def test_ledger_that_is_not_the_fold_of_the_leases_is_mended_loudly(
    fresh_dsn: str, db_writer: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, 1)
        await rounds.come(rounds.workers[2])
        kept = await granted(rounds, rounds.workers[2], vram_mib=2_000)
        before = queue.term.commits.now()
    await db_writer.execute("DELETE FROM allocation")
    await db_writer.execute("UPDATE device SET allocated_mib = 7, encoder_sessions = 1")
    await db_writer.execute(
        "INSERT INTO allocation VALUES ($1::text::uuid, 1, 'GPU-borea', 'gone', 300, 1, now(), NULL)",
        new_job_id(),
    )
    with caplog.at_level(logging.ERROR):
        async with leader(fresh_dsn) as queue:
            assert await db_writer.fetch(FAULTS) == []
            [view] = queue.devices.all()
            charged = {charge.lease[0]: charge.lingers_since for charge, _ in view.charges}
            assert (view.account.allocated, charged.pop(kept)) == ((2_300, 1), None)
            assert None not in charged.values()
            after = queue.term.commits.now()
    assert "the ledger was not the sum of the live leases and was mended" in caplog.text
    mended_at = REGISTRY.get_sample_value("callsheet_ledger_mended_timestamp_seconds")
    assert mended_at is not None
    assert before < mended_at <= after


async def test_submitter_may_ask_for_more_memory_but_not_for_less(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        Rounds(queue, db_writer, 1)
        job_id = await submitted(queue, vram_mib=1_501)
        assert (await queue.views.job(job_id)).row.vram_mib == 1_501
        with pytest.raises(InvalidError) as refused:
            await submitted(queue, vram_mib=1_499)
        assert refused.value.field.endswith("vram_required")
        scan = Submission(id=new_job_id(), type="public_scan", params='{"directoryType": "a"}', vram_mib=1)
        with pytest.raises(InvalidError, match="from 0 to 0"):
            await queue.jobs.submit([scan])
