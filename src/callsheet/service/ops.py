"""Liveness, readiness and metrics over plain HTTP on a port of their own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from callsheet.errors import UnavailableError
from callsheet.within import within

log = logging.getLogger(__name__)

#: Bytes of a request that are read at most.
REQUEST_BYTES_MAX: Final = 8192

#: Seconds in which a request must have come, and in which a question for readiness must be answered.
REQUEST_DEADLINE_S: Final = 5.0
READY_DEADLINE_S: Final = 2.0

CONNECTIONS_MAX: Final = 64

TEXT: Final = "text/plain; charset=utf-8"

_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: bytes
    media_type: str = TEXT

    def encode(self, *, with_body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\nContent-Type: {self.media_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + (self.body if with_body else b"")


class OpsServer:
    """Answers /livez, /readyz and /metrics.

    *ready* says whether the service can do its work; an error or silence counts as no.
    """

    def __init__(self, ready: Callable[[], Awaitable[bool]]) -> None:
        self._ready = ready
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, host: str, port: int) -> int:
        """Listen and return the bound port.

        Raises:
            UnavailableError: The port is taken or not allowed.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=REQUEST_BYTES_MAX)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {host}:{port} for probes and metrics ({error.strerror}): "
                "set CALLSHEET_OPS_PORT to another port, or to 0 for a free one, and CALLSHEET_OPS_HOST to "
                "an address of this machine"
            ) from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS_MAX:
                await self._speak(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with within(REQUEST_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.partition(b" ")
            path = rest.partition(b" ")[0].partition(b"?")[0]
            answer = await self._answer(method, path)
            writer.write(answer.encode(with_body=method != b"HEAD"))
            async with within(REQUEST_DEADLINE_S):
                await writer.drain()

    async def _answer(self, method: bytes, path: bytes) -> _Answer:
        if method not in {b"GET", b"HEAD"}:
            return _Answer(status=405, body=b"only GET and HEAD are answered\n")
        match path:
            case b"/livez":
                return _Answer(status=200, body=b"alive\n")
            case b"/readyz":
                ready = await self._is_ready()
                return _Answer(status=200 if ready else 503, body=b"ready\n" if ready else b"not ready\n")
            case b"/metrics":
                return _Answer(status=200, body=generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
            case _:
                return _Answer(status=404, body=b"here are /livez, /readyz and /metrics\n")

    async def _is_ready(self) -> bool:
        try:
            async with within(READY_DEADLINE_S):
                return await self._ready()
        except Exception as error:
            log.warning("readiness cannot be told", exc_info=error)
            return False
