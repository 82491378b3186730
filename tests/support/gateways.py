"""A gateway: in the test's own process over ASGI, or as a process of its own."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from callsheet_gateway.app import make_app
from callsheet_gateway.assembly import assembled
from callsheet_gateway.settings import GatewaySettings
from starlette.types import ASGIApp

from callsheet.acting import RECORDED
from callsheet.client import Client, Patience
from tests.support.patience import PATIENCE_S
from tests.support.warm import WarmProcess, start_warm

TOKEN = "t" * 43


class Rest(httpx.AsyncClient):
    """A client of REST that knows what it speaks with."""

    app: ASGIApp


@asynccontextmanager
async def rest_over(
    scheduler: str, settings: GatewaySettings, *, patience: Patience | None = None
) -> AsyncGenerator[Rest]:
    """Give a client of REST, with the administrator's token, over the scheduler at this address."""
    async with (
        Client(scheduler, patience=patience, said=RECORDED) as client,
        rest_through(client, settings) as rest,
    ):
        yield rest


@asynccontextmanager
async def rest_through(client: Client, settings: GatewaySettings) -> AsyncGenerator[Rest]:
    """Give a client of REST, with the administrator's token, over this client of the scheduler."""
    async with assembled(settings, client, TOKEN) as state:
        app = make_app(state)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with Rest(
            transport=transport, base_url="http://gateway", headers=headers, timeout=60.0
        ) as rest:
            rest.app = app
            yield rest


def write_token(folder: Path) -> Path:
    """Write the administrator's token into a file of its own."""
    file = folder / "admin-token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    return file


async def started(folder: Path, settings: Mapping[str, str]) -> WarmProcess:
    """Start ``callsheet_gateway.main`` with *settings*, variables without their prefix in any case."""
    own = {"listen": "127.0.0.1:0", "scheduler": "127.0.0.1:1", "admin_token_file": str(write_token(folder))}
    variables = {f"CALLSHEET_{name.upper()}": value for name, value in (own | dict(settings)).items()}
    return await start_warm(
        "callsheet_gateway.main", environment=os.environ | variables, stderr=PIPE, stdout=PIPE
    )


@asynccontextmanager
async def real_gateway(folder: Path, **settings: str) -> AsyncGenerator[tuple[WarmProcess, int]]:
    """Run a gateway process; gives it and its port once it answers."""
    port_file = folder / "gateway-port"
    process = await started(folder, settings | {"port_file": str(port_file)})
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not port_file.exists():
                assert process.returncode is None, "the gateway ended while it started"
                await asyncio.sleep(0.02)
        yield process, int(port_file.read_text(encoding="ascii"))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
