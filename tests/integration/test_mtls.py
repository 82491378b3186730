"""With certificates only who is of the CA gets in, in its own role, and under its own name."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.client import Client, Patience
from callsheet.errors import DeniedError, UnavailableError
from callsheet.identities import SCHEDULER_NAME, Role
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.tls import CA_FILE, CERTIFICATE_FILE, KEY_FILE, TlsFolder
from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.job_service_pb2 import SubmitJobsRequest, WatchJobsRequest, WatchJobsResponse
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.lease_service_pb2 import Hello, WorkRequest
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.certificates import A_DAY, Certificates
from tests.support.immich_process import start
from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import standing_in
from tests.support.patience import PATIENCE_S
from tests.support.processes import until
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.workers import running_worker

ONCE = Patience(total_s=0.0, try_s=PATIENCE_S)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certificates")


@pytest.fixture
async def scheduler(
    certificates: Certificates, fresh_dsn: str, tmp_path: Path
) -> AsyncGenerator[RealScheduler]:
    folder = certificates.issue(Role.SCHEDULER)
    async with real_scheduler(fresh_dsn, tmp_path, tls_dir=str(folder)) as running:
        yield running


@asynccontextmanager
async def client_as(
    scheduler: RealScheduler, tls: TlsFolder | None, patience: Patience = ONCE
) -> AsyncGenerator[Client]:
    async with Client(scheduler.address, tls=tls, patience=patience) as client:
        yield client


async def test_worker_with_a_certificate_finishes_a_job_of_an_application_with_another(
    scheduler: RealScheduler, certificates: Certificates, tmp_path: Path
) -> None:
    async with (
        running_worker(scheduler.port, tmp_path, tls_dir=certificates.issue(Role.WORKER)),
        open_channel(scheduler.address, tls=certificates.tls(Role.CLIENT)) as channel,
        client_as(scheduler, certificates.tls(Role.CLIENT), Patience(total_s=PATIENCE_S)) as client,
        asyncio.timeout(PATIENCE_S),
    ):
        await Jobs(channel).known("noop")
        done = await client.final((await client.submit(NewJob(type="noop"))).id)

    assert done.state == JobState.JOB_STATE_COMPLETED


async def test_who_is_not_to_be_trusted_gets_no_connection_and_learns_why(
    scheduler: RealScheduler, certificates: Certificates, tmp_path: Path
) -> None:
    others = Certificates(tmp_path / "others")
    old = Certificates(tmp_path / "old", now=SystemClock().now() - A_DAY * 3)
    old.authority = certificates.authority
    mixed = TlsFolder(others.issue(Role.CLIENT, "mixed"))
    (mixed.path / CA_FILE).write_bytes((certificates.issue(Role.GATEWAY) / CA_FILE).read_bytes())

    told = {
        "none": await refusal(scheduler, None),
        "other": await refusal(scheduler, others.tls(Role.CLIENT)),
        "mixed": await refusal(scheduler, mixed),
        "ended": await refusal(scheduler, TlsFolder(old.issue(Role.CLIENT, life=timedelta(hours=1)))),
    }

    assert "speaks TLS: name a folder with certificates in CALLSHEET_TLS_DIR" in told["none"]
    assert "the certificate of the scheduler at" in told["other"]
    assert "both sides need certificates of one CA" in told["other"]
    assert "is not one of the CA beside it" in told["mixed"]
    assert "ended at" in told["ended"]
    assert "renew it by `callsheet certs issue`" in told["ended"]


async def refusal(scheduler: RealScheduler, tls: TlsFolder | None) -> str:
    """Return why a client that shows *tls* gets no answer."""
    async with client_as(scheduler, tls) as client:
        with pytest.raises(UnavailableError):
            await client.stats()
        return await client.trouble()


async def test_scheduler_without_tls_is_named_as_the_reason(
    certificates: Certificates, fresh_dsn: str, tmp_path: Path
) -> None:
    async with real_scheduler(fresh_dsn, tmp_path) as plain:
        told = await refusal(plain, certificates.tls(Role.CLIENT))

    assert "speaks no TLS" in told


async def test_worker_cannot_serve_as_the_scheduler(
    certificates: Certificates, fresh_dsn: str, tmp_path: Path
) -> None:
    folder = certificates.issue(Role.WORKER)
    async with real_scheduler(fresh_dsn, tmp_path, tls_dir=str(folder)) as false:
        told = await refusal(false, certificates.tls(Role.CLIENT))

    assert "is not to be trusted" in told


async def test_worker_may_neither_administer_nor_speak_as_another(
    scheduler: RealScheduler, certificates: Certificates
) -> None:
    tls = certificates.tls(Role.WORKER, "atlas")
    async with client_as(scheduler, tls, Patience(total_s=PATIENCE_S)) as client:
        with pytest.raises(DeniedError, match="the role worker of atlas may not call"):
            await client.queues()
    async with open_channel(scheduler.address, tls=tls) as channel:
        hello = Hello(worker_id="zeus-cpu-0a1b2c3d", host="zeus", slots=1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in LeaseServiceStub(channel).Work(
                iter([WorkRequest(hello=hello)]), timeout=PATIENCE_S
            ):
                pass

    error = from_rpc_error(refused.value)
    assert isinstance(error, DeniedError)
    assert "that of atlas, which may not speak as zeus-cpu-0a1b2c3d" in error.message


async def test_rotation_on_both_sides_ends_no_stream(
    scheduler: RealScheduler, certificates: Certificates
) -> None:
    tls = certificates.tls(Role.OPERATOR)
    async with open_channel(scheduler.address, tls=tls) as channel, asyncio.timeout(PATIENCE_S):
        await Jobs(channel).known("scan")
        jobs = JobServiceStub(channel)
        watched = jobs.WatchJobs(WatchJobsRequest())
        await watched.initial_metadata()
        before, shown = await serial_of(scheduler, tls), tls.newest
        certificates.issue(Role.SCHEDULER)
        certificates.issue(Role.OPERATOR)

        job = NewJob(id=new_job_id(), type="scan", params_json='{"root": "library"}')
        await jobs.SubmitJobs(SubmitJobsRequest(jobs=[job]), timeout=PATIENCE_S)
        while job.id not in {one.id for one in (await message(watched)).jobs}:
            pass

        assert tls.newest.certificate != shown.certificate
        assert await serial_of(scheduler, tls) != before


async def message(
    watched: grpc.aio.UnaryStreamCall[WatchJobsRequest, WatchJobsResponse],
) -> WatchJobsResponse:
    """Return the next message of a stream that has not ended."""
    read = await watched.read()
    assert isinstance(read, WatchJobsResponse)
    return read


async def serial_of(scheduler: RealScheduler, tls: TlsFolder) -> str:
    """Return the serial number of the certificate that the scheduler shows now."""
    context = ssl.create_default_context(cafile=tls.path / CA_FILE)
    context.load_cert_chain(tls.path / CERTIFICATE_FILE, tls.path / KEY_FILE)
    _, writer = await asyncio.open_connection(
        "127.0.0.1", scheduler.port, ssl=context, server_hostname=SCHEDULER_NAME
    )
    shown = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return str(shown["serialNumber"])


async def test_a_controller_of_immich_steers_by_its_certificate_and_is_shown_to_an_operator(
    scheduler: RealScheduler, certificates: Certificates, tmp_path: Path
) -> None:
    async with standing_in(SimulatedImmich({"ocr": 9000})) as immich, AsyncExitStack() as ending:
        controller = await start(
            tmp_path,
            immich.address,
            "work",
            CALLSHEET_SCHEDULER=scheduler.address,
            CALLSHEET_TLS_DIR=str(certificates.issue(Role.IMMICH, "cabin")),
        )
        ending.push_async_callback(controller.communicate)
        ending.callback(controller.terminate)
        await until(lambda: "pause sidecar" in immich.commands)
        tls = TlsFolder(certificates.issue(Role.OPERATOR, "anna"))
        async with client_as(scheduler, tls) as operator:
            (server,) = await operator.immich_servers()
            (worker,) = (await operator.fleet()).workers

    assert (server.name, server.address) == ("immich", immich.address)
    assert worker.id.startswith("cabin-immich-")
    assert controller.returncode == 0
    assert immich.immich.open() == set(NAMES)
