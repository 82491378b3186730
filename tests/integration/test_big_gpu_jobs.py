"""A job that needs most of a card, behind small ones without end: a real scheduler and GPU worker."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from callsheet_gateway.settings import GatewaySettings

from callsheet.channel import open_channel
from callsheet.cli.instants import instant, seconds_between
from callsheet.v1.job_pb2 import Job, JobState
from tests.support.cards import card
from tests.support.gateways import rest_over
from tests.support.gpu_workers import GpuHost
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.rest import Rest

BACKFILL_PATIENCE_S = 3.0
SMALL_MIB, BIG_MIB = 4_000, 12_000
RUN_S = 1

#: What the machine of the test may take for what takes no time; the endless stream lasts for far longer.
SLACK_S = 10.0


async def submitted(jobs: Jobs, count: int, vram_mib: int) -> list[str]:
    names = ["test_gpu"] * count
    return await jobs.submitted(*names, params=json.dumps({"seconds": RUN_S}), vram_mib=vram_mib)


async def foretold(jobs: Jobs, job_id: str) -> Job:
    """Wait until a job that waits says when it could start, and return it as it is then."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job = await jobs.seen(job_id)
            assert job.state == JobState.JOB_STATE_PENDING
            if job.HasField("predicted_start_at"):
                return job
            await asyncio.sleep(0.1)


def run_s(job: Job) -> float:
    return seconds_between(job.started_at, job.finished_at) or 0.0


async def test_big_job_behind_an_endless_stream_of_small_ones_starts_within_the_predicted_bound(
    fresh_dsn: str, tmp_path: Path
) -> None:
    host = GpuHost(tmp_path)
    host.driver.set(card(mib=16_384, used_mib=10))
    settings = {"backfill_patience_s": str(BACKFILL_PATIENCE_S), "limit_gpu_encode": "20"}
    async with (
        real_scheduler(fresh_dsn, tmp_path, **settings) as scheduler,
        host.worker(scheduler.address, slots="8"),
        open_channel(scheduler.address) as channel,
    ):
        jobs = Jobs(channel)
        await jobs.known("test_gpu")
        learned = await submitted(jobs, 4, SMALL_MIB)
        runs_s = [run_s(job) for job in await jobs.reached(learned, JobState.JOB_STATE_COMPLETED)]
        before = await submitted(jobs, 3, SMALL_MIB)
        (big,) = await submitted(jobs, 1, BIG_MIB)
        stream = await submitted(jobs, 100, SMALL_MIB)
        said = await foretold(jobs, big)
        async with rest_over(scheduler.address, GatewaySettings()) as client:
            over_rest = await Rest(client).job(big)
        (running,) = await jobs.reached([big], JobState.JOB_STATE_RUNNING)
        states = [(await jobs.seen(job_id)).state for job_id in stream]
        runs_s += [run_s(job) for job in await jobs.reached(before, JobState.JOB_STATE_COMPLETED)]

    waited_s = seconds_between(running.created_at, running.started_at)
    assert waited_s is not None
    bound_s = BACKFILL_PATIENCE_S + max(runs_s) + SLACK_S
    assert BACKFILL_PATIENCE_S <= waited_s <= bound_s
    assert said.waiting_reason.startswith(f"Needs {BIG_MIB} MB; most free is")
    assert "; could start about " in said.waiting_reason
    assert instant(said.predicted_start_at) is not None
    start_at = datetime.fromisoformat(str(over_rest["predictedStartAt"]))
    assert abs((start_at - said.predicted_start_at.ToDatetime(UTC)).total_seconds()) < max(runs_s) + SLACK_S
    assert states.count(JobState.JOB_STATE_PENDING) > 50
