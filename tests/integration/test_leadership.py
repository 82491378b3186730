"""One scheduler leads at a time, and another takes over when it ends, stops, or is cut off."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from callsheet.client import Client
from callsheet.client.repeating import Patience
from callsheet.errors import StandbyError
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import GetStatsRequest, SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.patience import PATIENCE_S
from tests.support.replicas import Replica, addresses_of, leader_of, replicas_on
from tests.support.workers import RunningWorker, running_worker

CLOCK = SystemClock()

log = logging.getLogger(__name__)

#: A stopped scheduler answers nothing: whoever waits for it has to ask another.
PATIENCE = Patience(total_s=60, try_s=2)

#: How long a leadership lasts that ends by silence alone; any machine notices another end sooner.
LASTING_S = 40.0

#: Of the leadership and of leases, where a leader falls silent: when a worker notices, another leads already,
#: and the worker has some seconds to name its leases there.
SILENCE_S = (6.0, 12.0)


@pytest.fixture
async def replicas(
    request: pytest.FixtureRequest, fresh_dsn: str, tmp_path: Path
) -> AsyncIterator[list[Replica]]:
    leader_ttl_s, lease_ttl_s = getattr(request, "param", (2.0, 4.0))
    async with replicas_on(
        fresh_dsn, tmp_path, leader_ttl_s=str(leader_ttl_s), lease_ttl_s=str(lease_ttl_s)
    ) as replicas:
        yield replicas


@pytest.fixture
async def client(replicas: list[Replica]) -> AsyncIterator[Client]:
    async with Client(addresses_of(replicas), patience=PATIENCE) as client:
        yield client


#: What a leader writes, each row with the transaction that wrote it.
ROWS = {
    "job_live": "SELECT xmin::text, t.* FROM job_live t",
    "job_done": "SELECT xmin::text, t.* FROM job_done t",
    "job_attempt": "SELECT xmin::text, t.* FROM job_attempt t",
    "job_counter": "SELECT xmin::text, t.* FROM job_counter t",
    "job_log": "SELECT xmin::text, t.* FROM job_log t",
}


async def known(client: Client, name: str) -> None:
    """Wait until a worker has brought the type *name*."""
    async with asyncio.timeout(PATIENCE_S):
        while name not in {known.name for known in await client.job_types()}:  # noqa: ASYNC110 -- a process
            await asyncio.sleep(0.02)


async def running(client: Client, worker: RunningWorker) -> str:
    """Submit a job that waits for the test, and return its id once its attempt has begun."""
    await known(client, "patient")
    submitted = await client.submit(NewJob(type="patient"))
    async with asyncio.timeout(PATIENCE_S):
        while not worker.patient.begun or (  # noqa: ASYNC110 -- a process
            (await client.job(submitted.id)).state != JobState.JOB_STATE_RUNNING
        ):
            await asyncio.sleep(0.01)
    return submitted.id


async def finished(client: Client, job_id: str) -> Job:
    """Wait until a job is final, and return it with its attempts."""
    await client.final(job_id)
    return await client.job(job_id)


async def rows(dsn: str) -> dict[str, list[str]]:
    """Return every row of the tables that a leader writes, with the transaction that wrote it."""
    connection = await asyncpg.connect(dsn)
    try:
        return {table: sorted(map(str, await connection.fetch(text))) for table, text in ROWS.items()}
    finally:
        await connection.close()


async def test_the_leader_alone_exports_the_queue_and_all_are_ready(replicas: list[Replica]) -> None:
    leader, (standby,) = await leader_of(replicas)

    assert "media_jobs_pending" in (await leader.said("/metrics"))[1]
    assert "media_jobs_pending" not in (await standby.said("/metrics"))[1]
    for replica in replicas:
        async with grpc.aio.insecure_channel(replica.address) as channel:
            watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
            async for health in watch:
                if health.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            watch.cancel()


async def test_a_standby_names_the_leader_and_a_client_follows(replicas: list[Replica]) -> None:
    leader, (standby,) = await leader_of(replicas)
    async with grpc.aio.insecure_channel(standby.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await JobServiceStub(channel).GetStats(GetStatsRequest(), timeout=30)

    refusal = from_rpc_error(caught.value)
    assert isinstance(refusal, StandbyError)
    assert refusal.leader == leader.address
    async with Client(standby.address) as client:
        job = await client.submit(NewJob(type="scan", params_json='{"root": "made"}'))
        assert (await client.job(job.id)).id == job.id


@pytest.mark.parametrize("replicas", [(LASTING_S, 4.0)], indirect=True)
async def test_a_standby_grants_within_seconds_and_running_jobs_go_on(
    replicas: list[Replica], client: Client, tmp_path: Path
) -> None:
    async with running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker:
        job_id = await running(client, worker)
        leader, (standby,) = await leader_of(replicas)

        killed_at = CLOCK.monotonic()
        await leader.process.kill()
        fresh = await client.submit(NewJob(type="noop"))
        await client.final(fresh.id)
        took_s = CLOCK.monotonic() - killed_at
        log.warning("a standby granted %.2f s after its leader was killed", took_s)
        worker.patient.go_on.set()
        done = await finished(client, job_id)

    assert took_s < LASTING_S
    assert await standby.leads()
    assert done.state == JobState.JOB_STATE_COMPLETED
    assert (worker.patient.begun, worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)


@pytest.mark.parametrize("replicas", [(LASTING_S, 4.0)], indirect=True)
async def test_a_leader_that_is_told_to_end_hands_over_at_once(
    replicas: list[Replica], client: Client, tmp_path: Path
) -> None:
    async with running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker:
        job_id = await running(client, worker)
        leader, _ = await leader_of(replicas)

        ended_at = CLOCK.monotonic()
        assert await leader.process.terminate() == 0
        fresh = await client.submit(NewJob(type="noop"))
        await client.final(fresh.id)
        took_s = CLOCK.monotonic() - ended_at
        worker.patient.go_on.set()
        done = await finished(client, job_id)

    assert took_s < LASTING_S
    assert (worker.patient.begun, len(done.attempts)) == (1, 1)


@pytest.mark.parametrize("replicas", [SILENCE_S], indirect=True)
async def test_a_leader_that_was_stopped_changes_no_row_when_it_wakes(
    replicas: list[Replica], client: Client, fresh_dsn: str, tmp_path: Path
) -> None:
    async with running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker:
        job_id = await running(client, worker)
        leader, (standby,) = await leader_of(replicas)
        async with grpc.aio.insecure_channel(leader.address) as channel:
            stub = JobServiceStub(channel)
            await stub.GetStats(GetStatsRequest(), timeout=30)
            leader.process.signal(signal.SIGSTOP)
            lost = NewJob(id=new_job_id(), type="noop")
            late = stub.SubmitJobs(SubmitJobsRequest(jobs=[lost]), timeout=2 * PATIENCE_S)
            async with asyncio.timeout(PATIENCE_S):
                while not await standby.leads():  # noqa: ASYNC110 -- a process
                    await asyncio.sleep(0.05)
            fresh = await client.submit(NewJob(type="noop"))
            await client.final(fresh.id)
            before = await rows(fresh_dsn)

            leader.process.signal(signal.SIGCONT)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await late
            async with asyncio.timeout(PATIENCE_S):
                while not await leader.ready():  # noqa: ASYNC110 -- a process
                    await asyncio.sleep(0.05)
            after = await rows(fresh_dsn)

        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not await leader.leads()
        assert await standby.leads()
        assert after == before
        assert lost.id not in str(after)
        worker.patient.go_on.set()
        done = await finished(client, job_id)
    assert (worker.patient.begun, worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)


async def test_lost_connections_end_a_leadership_and_no_job(
    replicas: list[Replica], client: Client, fresh_dsn: str, tmp_path: Path
) -> None:
    async with running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker:
        job_id = await running(client, worker)
        for which in ("callsheet-writer", "callsheet-candidate", "callsheet-%"):
            connection = await asyncpg.connect(fresh_dsn)
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE $1",
                which,
            )
            await connection.close()
            assert ended
            await leader_of(replicas)
            fresh = await client.submit(NewJob(type="noop"))
            assert (await client.final(fresh.id)).state == JobState.JOB_STATE_COMPLETED
        worker.patient.go_on.set()
        done = await finished(client, job_id)

    assert (worker.patient.begun, worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)


async def test_of_three_schedulers_one_leads_whichever_ends(fresh_dsn: str, tmp_path: Path) -> None:
    async with (
        replicas_on(fresh_dsn, tmp_path, count=3) as replicas,
        running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker,
        Client(addresses_of(replicas)) as client,
    ):
        job_id = await running(client, worker)
        alive = list(replicas)
        for _ in range(2):
            leader, alive = await leader_of(alive)
            await leader.process.kill()
            fresh = await client.submit(NewJob(type="noop"))
            await client.final(fresh.id)
        worker.patient.go_on.set()
        done = await finished(client, job_id)
    assert (worker.patient.begun, worker.patient.cancelled, len(done.attempts)) == (1, 0, 1)
