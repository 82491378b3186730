"""HTTP with next to no work of its own, so that what is measured is the other side."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection that is kept, for one request after another."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    @classmethod
    async def open(cls, port: int, token: str) -> Self:
        """Connect to a gateway on this machine."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader=reader, writer=writer, token=token)

    async def ask(self, method: str, path: str, body: str = "") -> Any:  # noqa: ANN401 -- JSON
        """Return what a request is answered with, as JSON."""
        self.writer.write(_request(method, path, self.token, body))
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        answer = json.loads(await self.reader.readexactly(_length(head)))
        assert head.startswith(b"http/1.1 20"), answer
        return answer

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


async def listener(
    port: int,
    token: str,
    path: str,
    ready: asyncio.Semaphore,
    heard: "asyncio.Queue[tuple[str, float]]",
) -> None:
    """Put the id of each job that a stream tells of into *heard*, with the instant.

    *ready* is released when the stream is open.
    """
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request("GET", path, token))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await reader.readuntil(b"\n\n")
    ready.release()
    try:
        while True:
            line = await reader.readline()
            if line.startswith(b'data: {"id":"'):
                heard.put_nowait((line[13:49].decode(), loop.time()))
    finally:
        writer.close()


def _request(method: str, path: str, token: str, body: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    said = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{said}\r\n{body}".encode()


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length: ")
    assert found, head
    return int(rest.partition(b"\r\n")[0])
