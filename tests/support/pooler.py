"""A pooler that lends one session of the database to whoever comes, by the transaction."""

import asyncio
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

#: What a client sends before its startup message to ask for TLS.
SSL_REQUEST: Final = 80877103

#: Requests of authentication that want an answer: SASL, and its continuation.
ASKING: Final = frozenset({10, 11})

Message = tuple[bytes, bytes]
"""Its type, and the whole of it."""


class Pooler:
    """Speaks PostgreSQL's protocol, version 3, as far as it has to."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server: tuple[StreamReader, StreamWriter] | None = None
        self._greeting = b""
        self._turn = asyncio.Lock()
        self._clients: dict[StreamWriter, asyncio.Task[None]] = {}

    def take(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Begin to serve a client."""
        self._clients[writer] = asyncio.create_task(self._serve(reader, writer))

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            startup = await _startup(reader, writer)
            async with self._turn:
                if self._server is None:
                    await self._log_in(startup, reader, writer)
                else:
                    writer.write(self._greeting)
            while await self._lend(reader, writer):
                pass

    async def close(self) -> None:
        """Leave the database, and let no client wait."""
        for serving in self._clients.values():
            serving.cancel()
        await asyncio.gather(*self._clients.values(), return_exceptions=True)
        writers = [*self._clients, *([] if self._server is None else [self._server[1]])]
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def _log_in(self, startup: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        """Let the first client log in, and keep what it was greeted with for the others."""
        server_reader, server_writer = self._server = await asyncio.open_unix_connection(self._socket)
        server_writer.write(startup)
        kind = b""
        while kind != b"Z":
            kind, message = await _message(server_reader)
            writer.write(message)
            code = struct.unpack_from("!i", message, 5)[0] if kind == b"R" else -1
            if code in ASKING:
                server_writer.write((await _message(reader))[1])
            self._greeting = message if code == 0 else self._greeting + message

    async def _lend(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Lend the session for one transaction; False where the client leaves."""
        assert self._server is not None
        server_reader, server_writer = self._server
        kind, message = await _message(reader)
        if kind == b"X":
            return False
        async with self._turn:
            server_writer.write(message)
            asking = asyncio.create_task(_ask(kind, reader, server_writer))
            try:
                while kind != b"Z":
                    kind, message = await _message(server_reader)
                    writer.write(message)
                await asking
            finally:
                asking.cancel()
        return True


async def _ask(kind: bytes, reader: StreamReader, target: StreamWriter) -> None:
    """Carry the rest of a transaction's messages to the database."""
    while kind not in {b"S", b"Q"}:
        kind, message = await _message(reader)
        target.write(message)


async def _startup(reader: StreamReader, writer: StreamWriter) -> bytes:
    while True:
        head = await reader.readexactly(8)
        length, version = struct.unpack("!ii", head)
        if version != SSL_REQUEST:
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")


async def _message(reader: StreamReader) -> Message:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


@asynccontextmanager
async def pooler_before(dsn: str) -> AsyncGenerator[str]:
    """Run a pooler before *dsn* and yield its address."""
    parts = urlsplit(dsn)
    (folder,) = parse_qs(parts.query)["host"]
    pooler = Pooler(f"{folder}/.s.PGSQL.5432")
    server = await asyncio.start_server(pooler.take, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    login = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}", query=""))
    finally:
        server.close()
        await pooler.close()
