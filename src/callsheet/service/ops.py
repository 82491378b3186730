"""Liveness, readiness and metrics over plain HTTP on a port of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from prometheus_client import REGISTRY, generate_latest

#: Bytes of a request that are read at most.
REQUEST_BYTES_MAX: Final = 8192

REQUEST_DEADLINE_S: Final = 5.0


class OpsServer:
    """Answers /livez, /readyz and /metrics."""

    def __init__(self, ready: Callable[[], Awaitable[bool]]) -> None:
        self._ready = ready
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the bound port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=REQUEST_BYTES_MAX)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.split(b" ", 2)[1:2]))
                await writer.drain()
        writer.close()

    async def _answer(self, path: list[bytes]) -> bytes:
        match path:
            case [b"/livez"]:
                return _response(200, b"ok\n")
            case [b"/readyz"]:
                ready = await self._ready()
                return _response(200 if ready else 503, b"ready\n" if ready else b"not ready\n")
            case [b"/metrics"]:
                return _response(200, generate_latest(REGISTRY))
            case _:
                return _response(404, b"not found\n")


def _response(status: int, body: bytes) -> bytes:
    reason = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; version=0.0.4\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
