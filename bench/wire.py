"""HTTP with next to no work of its own, so that what is measured is the other side."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from typing_extensions import override

MARK: Final = b'data: {"id":"'
"""What the id of a job follows in an event."""


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


class Listener(asyncio.Protocol):
    """An open event stream. It notes when each job arrives, as soon as its bytes are read."""

    def __init__(self, question: bytes, heard: "asyncio.Queue[tuple[str, float]]") -> None:
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        """Is done when the stream has begun."""
        self._question = question
        self._heard = heard
        self._now = loop.time
        self._transport: asyncio.BaseTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        cast("asyncio.Transport", transport).write(self._question)

    @override
    def data_received(self, data: bytes) -> None:
        place = data.find(MARK)
        if place >= 0:
            self._heard.put_nowait((data[place + len(MARK) :][:36].decode(), self._now()))
        if not self.open.done() and b"retry: " in data:
            self.open.set_result(None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def listen(port: int, token: str, path: str, heard: "asyncio.Queue[tuple[str, float]]") -> Listener:
    """Open a stream that puts the id of each job it tells of into *heard*, with the instant.

    Of several jobs that arrive in one read only the first is noted: ask for one change at a time.
    """
    loop = asyncio.get_running_loop()
    question = _request("GET", path, token)
    _, made = await loop.create_connection(lambda: Listener(question, heard), "127.0.0.1", port)
    await made.open
    return made


def _request(method: str, path: str, token: str, body: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    said = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{said}\r\n{body}".encode()


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length: ")
    assert found, head
    return int(rest.partition(b"\r\n")[0])
