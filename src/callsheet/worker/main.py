"""Starts a worker: what the CPU and the GPU worker have in common."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Final

from prometheus_client import REGISTRY

from callsheet.catalog import Category
from callsheet.channel import open_channel
from callsheet.service.clock import SystemClock
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_tls, read_token
from callsheet.tls import TlsFolder
from callsheet.v1.lease_service_pb2 import Hello
from callsheet.worker.attempts import Attempts
from callsheet.worker.guard import Guard
from callsheet.worker.metrics import SessionCollector
from callsheet.worker.registry import AnyProcessor, installed_processors, offers
from callsheet.worker.runtime import Runtime, Surroundings
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.sandbox.rights import SandboxLimits, lacks, strength
from callsheet.worker.settings import WorkerSettings
from callsheet.worker.storage.library import Roots
from callsheet.worker.stream.devices import Look
from callsheet.worker.stream.session import Session
from callsheet.worker.stream.spool import Spool

log = logging.getLogger(__name__)

OBJECTS_UNTIL_COLLECTED: Final = 50_000
"""New objects between two looks of the garbage collector. Attempts are many objects and no garbage."""
UNFIT_EXIT: Final = 1
"""The exit code of a worker that drained itself because too many attempts failed in a row."""


def no_cards() -> Look | None:
    """See nothing: a worker that has no cards to look at."""
    return None


async def work(
    settings: WorkerSettings,
    stop: asyncio.Event,
    *,
    kind: str,
    categories: Iterable[Category],
    processors: Mapping[str, AnyProcessor] | None = None,
    software_gpu: bool = False,
    look: Callable[[], Look | None] = no_cards,
    make_session: Callable[..., Session] = Session,
) -> int:
    """Run a worker until it has drained after *stop*, and return its exit code.

    Args:
        settings: Its settings.
        stop: Set once to drain, a second time to hand back at once what still runs.
        kind: A word for its identity and its logs, such as ``cpu``.
        categories: The processors of these categories that installed packages offer are its own.
        processors: By job type, instead of those installed.
        software_gpu: Take GPU jobs where there is no card.
        look: Gives the newest look at the cards; the first is there already, where there is any.
        make_session: Called as `Session` is; a subclass may look on.

    Raises:
        InvalidError: The spool cannot be used, or an installed processor is none.
    """
    gc.set_threshold(OBJECTS_UNTIL_COLLECTED)
    handled = installed_processors(categories) if processors is None else processors
    words = strength()
    tls = read_tls(settings)
    name = settings.host if tls is None else tls.newest.identity.name
    spool = Spool(settings.spool)
    try:
        hello = Hello(
            worker_id=spool.identity(f"{name}-{kind}"),
            host=settings.host,
            version=version("callsheet"),
            slots=settings.slots,
            types=offers(handled, settings.run_limits_s),
            roots=sorted(settings.roots),
            writable_roots=sorted(name for name, root in settings.roots.items() if root.writable),
            software_gpu=software_gpu,
            sandbox=words,
            sandbox_lacks=lacks(words),
        )
        return await _work(settings, stop, hello, spool, handled, make_session, look, tls)
    finally:
        spool.close()


async def _work(
    settings: WorkerSettings,
    stop: asyncio.Event,
    hello: Hello,
    spool: Spool,
    processors: Mapping[str, AnyProcessor],
    make_session: Callable[..., Session],
    look: Callable[[], Look | None],
    tls: TlsFolder | None,
) -> int:
    clock = SystemClock()
    session = make_session(hello, now=clock.monotonic(), results=spool.load())
    seen = look()
    if seen is not None:
        session.looked(seen)
        session.cards.news(clock.monotonic())  # whoever gave the look has told of it

    async def ready() -> bool:
        return session.connected and clock.monotonic() < session.pulse.lease_until

    ops = OpsServer(ready)
    figures = SessionCollector(session, hello)
    token = read_token(settings)

    async with (
        Guard() as guard,
        _decoders(settings, processors, urgent=False) as children,
        _decoders(settings, processors, urgent=True) as urgent,
        open_channel(settings.scheduler, token=token, tls=tls) as channel,
    ):
        surroundings = Surroundings(
            worker_id=hello.worker_id,
            channel=channel,
            attempts=Attempts(processors),
            roots=Roots(settings.roots, settings.scratch_room()),
            children=children,
            urgent=urgent,
            spool=spool,
            clock=clock,
            library_deadline_s=settings.library_deadline_s,
            ask_grace_s=settings.stop_ask_grace_s,
            encoding=settings.encoding(),
            inference=settings.inference(),
            sweep_interval_s=settings.sweep_interval_s,
            failures_max=settings.failures_in_row_max,
            attempts_max=settings.jobs_max,
            look=look,
            beat=guard.beat,
        )
        port = await ops.start(settings.ops_host, settings.ops_port)
        REGISTRY.register(figures)
        worker = {"worker": hello.worker_id, "types": sorted(processors), "slots": settings.slots}
        log.info("working", extra=worker | {"scheduler": settings.scheduler, "ops_port": port})
        try:
            runtime = Runtime(session, surroundings)
            await runtime.run(stop, drain_grace_s=settings.drain_grace_s)
            return UNFIT_EXIT if runtime.unfit else 0
        finally:
            REGISTRY.unregister(figures)
            await ops.stop()


def _decoders(settings: WorkerSettings, processors: Mapping[str, AnyProcessor], *, urgent: bool) -> ChildPool:
    size = settings.urgent_children if urgent and settings.children else settings.children
    return ChildPool(
        size=size if processors else 0,
        limits=SandboxLimits(jobs_per_child=settings.child_jobs_max),
        functions=sorted({work.function for one in processors.values() for work in one.works}),
        term_grace_s=settings.stop_term_grace_s,
        background=not urgent,
    )
