"""KEDA polls schedulers and has changes pushed: what it hears is the demand, or that nobody knows."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.client import Client, Patience
from callsheet.v1.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from callsheet.v1.externalscaler_pb2_grpc import ExternalScalerStub
from callsheet.v1.job_pb2 import NewJob
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.replicas import free_port

CPU = {"category": "cpu", "slotsPerWorker": "4"}
TOKEN = "a-token-that-is-long-enough"


class Keda:
    """Asks as KEDA does: on an address of its own, without a credential."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub = ExternalScalerStub(channel)

    async def is_active(self, **changes: str) -> bool:
        return (await self.stub.IsActive(ref(**changes), timeout=PATIENCE_S)).result

    async def spec(self, **changes: str) -> dict[str, tuple[int, float]]:
        answer = await self.stub.GetMetricSpec(ref(**changes), timeout=PATIENCE_S)
        return {one.metricName: (one.targetSize, one.targetSizeFloat) for one in answer.metricSpecs}

    async def metrics(self, name: str = "", **changes: str) -> dict[str, tuple[int, float]]:
        request = GetMetricsRequest(scaledObjectRef=ref(**changes), metricName=name)
        answer = await self.stub.GetMetrics(request, timeout=PATIENCE_S)
        return {one.metricName: (one.metricValue, one.metricValueFloat) for one in answer.metricValues}


def ref(**changes: str) -> ScaledObjectRef:
    return ScaledObjectRef(name="cpu-worker", namespace="media", scalerMetadata=CPU | changes)


@asynccontextmanager
async def keda_at(port: int) -> AsyncGenerator[Keda]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Keda(channel)


def with_token(folder: Path) -> Path:
    folder.mkdir()
    token_file = folder / "token"
    token_file.write_text(TOKEN, encoding="ascii")
    token_file.chmod(0o600)
    return token_file


@asynccontextmanager
async def served(dsn: str, folder: Path) -> AsyncGenerator[tuple[RealScheduler, Keda]]:
    """A scheduler that wants a join token, and its door for KEDA."""
    token_file = with_token(folder)
    port = free_port()
    settings = {"keda_listen": f"127.0.0.1:{port}", "join_token_file": str(token_file), "leader_ttl_s": "2"}
    async with real_scheduler(dsn, folder, **settings) as scheduler, keda_at(port) as keda:
        yield scheduler, keda


async def known(keda: Keda) -> dict[str, tuple[int, float]]:
    """Ask until somebody knows; until then nobody says anything else."""
    while True:
        try:
            return await keda.metrics()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise


async def submit(scheduler: RealScheduler, count: int) -> list[str]:
    jobs = [NewJob(type="scan", params_json="{}") for _ in range(count)]
    async with Client(scheduler.address, token=TOKEN, patience=Patience(total_s=30.0)) as client:
        return [job.id for job in await client.submit_many(jobs)]


async def test_demand_is_polled(fresh_dsn: str, tmp_path: Path) -> None:
    async with served(fresh_dsn, tmp_path / "a") as (scheduler, keda):
        assert await known(keda) == {"demand_slots": (0, 0.0)}
        assert not await keda.is_active()
        await submit(scheduler, 7)
        assert await keda.is_active()
        assert not await keda.is_active(category="gpu_ai")
        assert await keda.metrics("demand_slots") == {"demand_slots": (7, 7.0)}
        assert await keda.spec() == {"demand_slots": (4, 4.0)}
        sized = {"category": "gpu_encode", "vramPerWorkerMb": "16000"}
        assert await keda.spec(**sized) == {"demand_slots": (4, 4.0), "demand_vram_mb": (16_000, 16_000.0)}
        assert await keda.metrics(**sized) == {"demand_slots": (0, 0.0), "demand_vram_mb": (0, 0.0)}


async def test_changes_are_pushed(fresh_dsn: str, tmp_path: Path) -> None:
    async with served(fresh_dsn, tmp_path / "a") as (scheduler, keda):
        await known(keda)
        pushed = aiter(keda.stub.StreamIsActive(ref()))
        async with asyncio.timeout(PATIENCE_S):
            assert not (await anext(pushed)).result
            [job_id] = await submit(scheduler, 1)
            assert (await anext(pushed)).result
            async with Client(scheduler.address, token=TOKEN) as client:
                await client.cancel(job_id)
            assert not (await anext(pushed)).result


async def test_standby_hands_calls_to_the_leader_and_nobody_hears_a_zero_that_is_none(
    fresh_dsn: str, tmp_path: Path
) -> None:
    async with (
        served(fresh_dsn, tmp_path / "a") as (first, of_first),
        served(fresh_dsn, tmp_path / "b") as (_, of_second),
    ):
        await submit(first, 3)
        assert await known(of_first) == {"demand_slots": (3, 3.0)}
        assert await known(of_second) == {"demand_slots": (3, 3.0)}
        pushed = aiter(of_second.stub.StreamIsActive(ref()))
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(pushed)).result
        await first.kill()
        async with asyncio.timeout(PATIENCE_S):
            assert await known(of_second) == {"demand_slots": (3, 3.0)}
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await of_first.is_active()
        assert away.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"category": "tpu"}, "category"), ({"slotsPerWorker": "many"}, "slotsPerWorker")],
)
async def test_wrong_metadata_are_named(
    fresh_dsn: str, tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    async with served(fresh_dsn, tmp_path / "a") as (_, keda):
        await known(keda)
        for call in (keda.is_active(**changes), keda.spec(**changes), keda.metrics(**changes)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert named in str(refused.value.details())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(keda.stub.StreamIsActive(ref(**changes))))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError, match="there are demand_slots"):
            await keda.metrics("demand_cores")


async def test_nothing_but_the_demand_is_told_without_a_credential(fresh_dsn: str, tmp_path: Path) -> None:
    async with served(fresh_dsn, tmp_path / "a") as (scheduler, keda):
        await known(keda)
        async with open_channel(scheduler.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ExternalScalerStub(channel).IsActive(ref(), timeout=PATIENCE_S)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
