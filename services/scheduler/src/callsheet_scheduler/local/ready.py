"""Waits until a Callsheet on this machine serves: REST answers and its workers are connected."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

from callsheet.client import Client
from callsheet.errors import UnavailableError
from callsheet.within import within
from callsheet_scheduler.local.errors import StartError

READY_LIMIT_S: Final = 120.0
WORKERS: Final = 2
_LOOK_S: Final = 0.02


async def wait_until_ready(client: Client, gateway_port: int) -> None:
    """Return once REST answers and both workers are connected.

    Raises:
        StartError: That did not come about in ``READY_LIMIT_S``.
    """
    await _in_time(_workers(client), "the workers to connect")
    await _in_time(_rest(gateway_port), "REST to answer")


async def _in_time(wait: Coroutine[object, object, None], what: str) -> None:
    try:
        async with within(READY_LIMIT_S):
            await wait
    except TimeoutError:
        message = f"Waited {READY_LIMIT_S:.0f} s in vain for {what}: the logs in the data folder say more."
        raise StartError(message) from None


async def _workers(client: Client) -> None:
    while True:
        with suppress(UnavailableError):
            fleet = await client.fleet()
            if sum(worker.connected for worker in fleet.workers) >= WORKERS:
                return
        await asyncio.sleep(_LOOK_S)


async def _rest(port: int) -> None:
    while not await answers(port, "/readyz"):  # noqa: ASYNC110 -- another process sets no event of ours
        await asyncio.sleep(_LOOK_S)


async def answers(port: int, path: str) -> bool:
    """Say whether a GET of *path* on loopback is answered with 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        status = (await reader.readline()).split()
        return status[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
