"""Starts a worker: what the CPU and the GPU worker have in common."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from callsheet.catalog import Category
from callsheet.channel import open_channel
from callsheet.service.clock import SystemClock
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_token
from callsheet.v1.lease_service_pb2 import Hello
from callsheet.worker.attempts import Attempts
from callsheet.worker.library import Roots
from callsheet.worker.processes import ChildPool
from callsheet.worker.registry import AnyProcessor, installed_processors, offers
from callsheet.worker.runtime import Runtime, Surroundings
from callsheet.worker.sandbox import strength
from callsheet.worker.session import Session
from callsheet.worker.settings import WorkerSettings
from callsheet.worker.spool import Spool
from callsheet.worker.staging import sweep

log = logging.getLogger(__name__)


async def work(
    settings: WorkerSettings,
    stop: asyncio.Event,
    *,
    kind: str,
    categories: Iterable[Category],
    processors: Mapping[str, AnyProcessor] | None = None,
    software_gpu: bool = False,
) -> int:
    """Run a worker until *stop* is set and return its exit code."""
    handled = installed_processors(categories) if processors is None else processors
    spool = Spool(settings.spool)
    roots = Roots(settings.roots)
    session = Session(
        Hello(
            worker_id=spool.identity(f"{settings.host}-{kind}"),
            host=settings.host,
            version=version("callsheet"),
            slots=settings.slots,
            types=offers(handled),
            roots=sorted(roots),
            software_gpu=software_gpu,
            sandbox=strength(),
        ),
    )
    clock = SystemClock()
    sweeps: set[asyncio.Task[int]] = set()

    def stale_outputs(_: int) -> None:
        tags = [f"{token:016x}" for token in session.live_tokens()]
        sweeping = asyncio.create_task(sweep(roots, tags))
        sweeps.add(sweeping)
        sweeping.add_done_callback(sweeps.discard)

    async def ready() -> bool:
        return session.connected

    ops = OpsServer(ready)
    async with ChildPool(size=settings.children) as children:
        channel = open_channel(settings.scheduler, token=read_token(settings))
        runtime = Runtime(
            session,
            Surroundings(
                channel=channel,
                attempts=Attempts(handled, clock),
                roots=roots,
                children=children,
                spool=spool,
                clock=clock,
                stale_outputs=stale_outputs,
            ),
        )
        port = await ops.start("127.0.0.1", settings.ops_port)
        log.info("working", extra={"types": sorted(handled), "slots": settings.slots, "ops_port": port})
        try:
            await runtime.run(stop, drain_grace_s=settings.drain_grace_s)
        finally:
            await channel.close()
            await ops.stop()
    return 0
