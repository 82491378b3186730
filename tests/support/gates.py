"""A gate before a server: it lets bytes pass, holds a request back, or answers in the server's place."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 64 * 1024


@dataclass
class Gate:
    """What becomes of requests; those that contain a mark are treated otherwise."""

    endpoint: str = ""
    stop_at: bytes | None = None
    """Holds back requests that contain this."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """One is held back."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """What was held back may pass."""
    answer: bytes = b""
    """Sent in place of the server's, to as many requests as `times` says; then the connection ends."""
    times: int = 0
    answered: int = 0
    passed: int = 0
    """Bytes that the server sent."""

    def refuse(self, answer: bytes, times: int = 1_000_000) -> None:
        """Answer so many requests with this."""
        self.answer, self.times, self.answered = answer, times, 0

    async def serve(self, server: str, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        there = urlsplit(server)
        reading, writing = await asyncio.open_connection(there.hostname, there.port)
        answering = asyncio.create_task(self._pass(reading, back))
        try:
            while chunk := await client.read(_CHUNK):
                if self.stop_at is not None and self.stop_at in chunk:
                    self.held.set()
                    await self.open.wait()
                if self.times and b" HTTP/1.1\r\n" in chunk:
                    self.times -= 1
                    self.answered += 1
                    back.write(self.answer)
                    await back.drain()
                    break
                writing.write(chunk)
                await writing.drain()
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            for one in (writing, back):
                one.close()

    async def _pass(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reading.read(_CHUNK):
                self.passed += len(chunk)
                writing.write(chunk)
                await writing.drain()
        writing.close()


@asynccontextmanager
async def gate_before(server: str) -> AsyncGenerator[Gate]:
    """Open a gate before the server at this address, which has no path."""
    gate = Gate()
    connections: set[asyncio.Task[None]] = set()

    async def serve(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await gate.serve(server, client, back)
        except asyncio.CancelledError:
            back.close()
        finally:
            connections.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_CHUNK)
    gate.endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield gate
    finally:
        listener.close()
        for one in list(connections):
            one.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
