"""Starts the Immich controller, alone beside one Immich server."""

import asyncio
import logging
import random
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, TypeVar

import uuid_utils

from callsheet.channel import open_channel
from callsheet.errors import InvalidError
from callsheet.service import logs
from callsheet.service.clock import SystemClock
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_settings, read_tls, read_token, run
from callsheet.v1.lease_service_pb2 import Hello
from callsheet_immich_agent.agent import Agent, Manner
from callsheet_immich_agent.client import Access, Server
from callsheet_immich_agent.leases import Books, Stay
from callsheet_immich_agent.policy import Rules
from callsheet_immich_agent.remembered import Remembered, peek
from callsheet_immich_agent.reports import Reports
from callsheet_immich_agent.settings import ImmichSettings, ImmichWorkerSettings
from callsheet_immich_agent.status import show

log = logging.getLogger(__name__)

SettingsT = TypeVar("SettingsT", bound=ImmichSettings)

LEAVE_S: Final = 5.0
"""How long giving the leases back may take at the end."""
LEFT_EXIT: Final = 1
"""The exit code where queues may have stayed paused."""


def main(*, dry_run: bool = False) -> None:
    """Steer the server's queues until told to stop, then open them."""
    sys.exit(_run(lambda settings, stop: _alone(settings, stop, dry_run=dry_run)))


async def _alone(settings: ImmichSettings, stop: asyncio.Event, *, dry_run: bool) -> int:
    manner = Manner(name=settings.immich_name, dry_run=dry_run or settings.immich_dry_run)
    return await steer(settings, stop, Part(rules=settings.rules(), manner=manner))


def open_all() -> None:
    """Open what an earlier run that was killed has left paused."""
    sys.exit(_run(_restore))


def main_with_scheduler(*, dry_run: bool = False) -> None:
    """Steer the server's queues by the scheduler's leases until told to stop, then open them."""
    settings = _prepared(ImmichWorkerSettings)
    sys.exit(run(lambda stop: share(settings, stop, dry_run=dry_run)))


async def share(settings: ImmichWorkerSettings, stop: asyncio.Event, *, dry_run: bool = False) -> int:
    """Steer by leases until *stop*, and return the exit code. A dry run asks the scheduler for nothing."""
    if dry_run or settings.immich_dry_run:
        would = Manner(name=settings.immich_name, dry_run=True, leases=True)
        return await steer(settings, stop, Part(rules=settings.rules(), manner=would))
    books = Books(settings.immich_name, settings.card())
    tls = read_tls(settings)
    name = settings.host if tls is None else tls.newest.identity.name
    hello = Hello(
        worker_id=f"{name[:100]}-immich-{uuid_utils.uuid4().hex[:12]}",
        host=settings.host,
        version=version("callsheet"),
        slots=settings.immich_max_concurrent_jobs,
        types=books.types(),
        devices=books.devices(),
    )
    async with open_channel(settings.scheduler, token=read_token(settings), tls=tls) as channel:
        stay = Stay(hello, books, channel, SystemClock())
        root = _access(settings).root
        reports = Reports(settings.immich_name, root, settings.rules(), channel, stay)
        staying = asyncio.create_task(stay.run())
        try:
            manner = Manner(name=settings.immich_name, stay=stay)
            return await steer(
                settings, stop, Part(rules=settings.rules(), manner=manner, beside=reports.run)
            )
        finally:
            await stay.leave()
            await asyncio.wait({staying}, timeout=LEAVE_S)
            staying.cancel()


async def _nothing(_: Agent) -> None:
    """Do nothing beside the agent."""
    await asyncio.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How an agent is to steer."""

    rules: Rules
    """To begin with."""
    manner: Manner
    beside: Callable[[Agent], Coroutine[object, object, None]] = _nothing
    """What goes on while it steers; when that ends, so does the agent."""


async def steer(settings: ImmichSettings, stop: asyncio.Event, part: Part) -> int:
    """Steer until *stop*, and return the exit code."""
    async with _agent(settings, part) as agent:
        ops = OpsServer(agent.ready)
        port = await ops.start(settings.ops_host, settings.ops_port)
        log.info("probes and metrics on %s:%d", settings.ops_host, port)
        beside = asyncio.create_task(part.beside(agent))
        beside.add_done_callback(lambda _: stop.set())
        try:
            await agent.run(stop)
        finally:
            left = await agent.restore(settings.immich_restore_s)
            beside.cancel()
            await asyncio.wait({beside})
            await ops.stop()
        code = _leave(left)
        if not beside.cancelled():
            beside.result()
        return code


def tell(*, as_json: bool) -> None:
    """Tell how the server's queues are; nothing is asked of them, and whoever steers them goes on."""
    sys.exit(_run(lambda settings, _: _tell(settings, as_json=as_json)))


async def _tell(settings: ImmichSettings, *, as_json: bool) -> int:
    access = _access(settings)
    async with Server(access) as server:
        show(
            await server.queues(), peek(settings.immich_state, access.root), settings.rules(), as_json=as_json
        )
    return 0


async def _restore(settings: ImmichSettings, _: asyncio.Event) -> int:
    part = Part(rules=settings.rules(), manner=Manner(name=settings.immich_name))
    async with _agent(settings, part) as agent:
        return _leave(await agent.restore(settings.immich_restore_s))


def _run(work: Callable[[ImmichSettings, asyncio.Event], Coroutine[object, object, int]]) -> int:
    settings = _prepared(ImmichSettings)
    return run(lambda stop: work(settings, stop))


def _prepared(model: type[SettingsT]) -> SettingsT:
    settings = read_settings(model)
    logs.configure(settings.log_level)
    # Each look would be a line of theirs.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    return settings


@asynccontextmanager
async def _agent(settings: ImmichSettings, part: Part) -> AsyncGenerator[Agent]:
    access = _access(settings)
    async with Server(access) as server:
        with closing(Remembered(settings.immich_state, access.root)) as remembered:
            yield Agent(
                server,
                part.rules,
                remembered,
                clock=SystemClock(),
                chance=random.SystemRandom().random,
                deadline_s=settings.immich_deadline_s,
                manner=part.manner,
            )


def _access(settings: ImmichSettings) -> Access:
    return Access(
        address=settings.immich_url,
        key=_key(settings),
        ca_file=settings.immich_ca_file,
        deadline_s=settings.immich_deadline_s,
    )


def _key(settings: ImmichSettings) -> str:
    """Return the key, from its file where one is named.

    Raises:
        InvalidError: The file cannot be read.
    """
    if settings.immich_api_key_file is None:
        return settings.immich_api_key.get_secret_value().strip()
    try:
        return settings.immich_api_key_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise InvalidError(
            f"CALLSHEET_IMMICH_API_KEY_FILE cannot be read: {error}", field="immich_api_key_file"
        ) from None


def _leave(left: frozenset[str]) -> int:
    if left:
        names = ", ".join(sorted(left))
        log.error("these queues may still be paused: %s; `callsheet immich restore` opens them", names)
    return LEFT_EXIT if left else 0


if __name__ == "__main__":
    main()
