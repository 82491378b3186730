"""Listens and serves HTTP, with limits on what a connection may hold and how long it may be silent."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp, Scope
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from callsheet.errors import InvalidError
from callsheet_gateway.live.streams import ABORT_KEY, Streams
from callsheet_gateway.settings import GatewaySettings

BACKLOG: Final = 512
"""Connections that may wait to be accepted."""
KEEP_ALIVE_S: Final = 75
"""How long a connection may stay open between two requests."""
FILES_BESIDE: Final = 512
"""Open files that are no connections."""
GRACE_S: Final = 3
"""How long requests under way may go on when the gateway stops."""


def listen(settings: GatewaySettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        InvalidError: It cannot; one sentence says why.
    """
    host, port = settings.address
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidError(f"CALLSHEET_LISTEN names no address of this machine: {host}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = (
            "the port is taken" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0).lower()
        )
        raise InvalidError(
            f"cannot listen on {settings.listen}: {reason}; name another address in CALLSHEET_LISTEN"
        ) from error
    listener.settimeout(0)
    return listener


async def serve(
    app: ASGIApp,
    settings: GatewaySettings,
    listener: socket.socket,
    stop: asyncio.Event,
    streams: Streams,
) -> None:
    """Serve until *stop* is set, then end *streams* and let requests under way end."""
    allow_connections(settings.connections_max)
    server = _Server(_config(app, settings))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    streams.end_all()
    await serving


def allow_connections(connections_max: int) -> None:
    """Let this process have as many files open as that many connections need, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + FILES_BESIDE
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _config(app: ASGIApp, settings: GatewaySettings) -> uvicorn.Config:
    class Connection(H11Protocol):
        """Is closed when its first request does not arrive in time."""

        _asked = False

        @override
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast("asyncio.Transport", transport))
            self.loop.call_later(settings.head_deadline_s, self._close_unless_asked)

        @override
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._asked = self._asked or self.conn.their_state is not h11.IDLE

        @override
        def handle_events(self) -> None:
            super().handle_events()
            scope = cast("Scope | None", self.scope)
            if scope is not None:
                scope[ABORT_KEY] = self.transport.abort

        def _close_unless_asked(self) -> None:
            if not self._asked and not self.transport.is_closing():
                self.transport.close()

    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=settings.connections_max,
        h11_max_incomplete_event_size=settings.head_bytes_max,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
