"""A gateway in the test's own process: the whole application, spoken to over ASGI."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from callsheet_gateway.app import make_app
from callsheet_gateway.auth import Credentials
from callsheet_gateway.border import Border
from callsheet_gateway.making import Making
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State

from callsheet.client import Client, Patience
from callsheet.service.clock import SystemClock
from callsheet.worker.library import Roots

TOKEN = "t" * 43


@asynccontextmanager
async def rest_over(
    scheduler: str, settings: GatewaySettings, *, patience: Patience | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of REST, with the administrator's token, over the scheduler at this address."""
    async with Client(scheduler, patience=patience) as client:
        making = Making(client, wait_s=settings.miss_wait_s, wishes_max=settings.misses_max)
        state = State(
            settings=settings,
            credentials=Credentials(TOKEN),
            client=client,
            roots=Roots(settings.roots),
            making=making,
        )
        app = Border(make_app(state), body_bytes_max=settings.body_bytes_max, clock=SystemClock())
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers, timeout=60.0
        ) as rest:
            yield rest
        await making.close()
