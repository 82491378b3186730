"""A gateway: in the test's own process over ASGI, or as a process of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from callsheet_gateway.app import make_app
from callsheet_gateway.auth import Credentials
from callsheet_gateway.border import Border
from callsheet_gateway.making import Making
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State
from callsheet_gateway.views import Views

from callsheet.client import Client, Patience
from callsheet.service.clock import SystemClock
from callsheet.worker.library import Roots

TOKEN = "t" * 43
START_LIMIT_S = 30.0


@asynccontextmanager
async def rest_over(
    scheduler: str, settings: GatewaySettings, *, patience: Patience | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of REST, with the administrator's token, over the scheduler at this address."""
    async with Client(scheduler, patience=patience) as client, rest_through(client, settings) as rest:
        yield rest


@asynccontextmanager
async def rest_through(client: Client, settings: GatewaySettings) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of REST, with the administrator's token, over this client of the scheduler."""
    making = Making(client, wait_s=settings.miss_wait_s, wishes_max=settings.misses_max)
    views = Views(client, every_s=settings.views_told_s)
    state = State(
        settings=settings,
        credentials=Credentials(TOKEN),
        client=client,
        roots=Roots(settings.roots),
        making=making,
        views=views,
    )
    app = Border(make_app(state), body_bytes_max=settings.body_bytes_max, clock=SystemClock())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers, timeout=60.0
    ) as rest:
        yield rest
    await making.close()
    await views.close()


def write_token(folder: Path) -> Path:
    """Write the administrator's token into a file of its own."""
    file = folder / "admin-token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    return file


async def started(folder: Path, settings: Mapping[str, str]) -> Process:
    """Start ``callsheet_gateway.main`` with *settings*, variables without their prefix in any case."""
    own = {"listen": "127.0.0.1:0", "scheduler": "127.0.0.1:1", "admin_token_file": str(write_token(folder))}
    variables = {f"CALLSHEET_{name.upper()}": value for name, value in (own | dict(settings)).items()}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callsheet_gateway.main", env=os.environ | variables, stderr=PIPE, stdout=PIPE
    )


@asynccontextmanager
async def real_gateway(folder: Path, **settings: str) -> AsyncGenerator[tuple[Process, int]]:
    """Run a gateway process; gives it and its port once it answers."""
    port_file = folder / "gateway-port"
    process = await started(folder, settings | {"port_file": str(port_file)})
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while not port_file.exists():
                assert process.returncode is None, "the gateway ended while it started"
                await asyncio.sleep(0.02)
        yield process, int(port_file.read_text(encoding="ascii"))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
