"""A stretch of network between two processes that can be cut, reset, slowed, or deafened in one direction."""

import asyncio
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typing_extensions import override

CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something listens: a path of a Unix socket, or an address."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    async def open(self) -> tuple[StreamReader, StreamWriter]:
        """Connect."""
        if self.path is not None:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection(self.host, self.port)

    @override
    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"


@dataclass(slots=True, kw_only=True)
class Way:
    """One direction. What comes while it is held goes on when it is not, as after a loss of packets."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0

    async def pump(self, source: StreamReader, target: StreamWriter) -> None:
        """Carry everything over, to the end of *source*."""
        while data := await source.read(CHUNK_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self.is_open.wait()
            target.write(data)
            await target.drain()


class Link:
    """Listens at one place and carries every connection to another."""

    def __init__(self, target: Place) -> None:
        """Prepare a link to *target*, open in both directions."""
        self.target = target
        self.there = Way()
        """From those who connect to *target*."""
        self.back = Way()
        """The answers."""
        self.place = Place()
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._refuses = False
        for way in (self.there, self.back):
            way.is_open.set()

    async def listen(self, place: Place) -> None:
        """Take connections at *place*; port 0 takes a free one."""
        if place.path is not None:
            place.path.parent.mkdir(exist_ok=True)
            self._server = await asyncio.start_unix_server(self._take, place.path)
            self.place = place
            return
        self._server = await asyncio.start_server(self._take, place.host, place.port)
        port: int = self._server.sockets[0].getsockname()[1]
        self.place = Place(host=place.host, port=port)

    def hold(self, *ways: Way) -> None:
        """Let nothing through these ways; both where none is named."""
        for way in ways or (self.there, self.back):
            way.is_open.clear()

    def slow(self, delay_s: float) -> None:
        """Let everything through late."""
        self.there.delay_s = self.back.delay_s = delay_s

    def reset(self) -> None:
        """Break every connection; what is held is lost."""
        for carrying in self._carrying:
            carrying.cancel()

    def refuse(self) -> None:
        """Break every connection and every new one."""
        self._refuses = True
        self.reset()

    def heal(self) -> None:
        """Let everything through at once."""
        self._refuses = False
        self.slow(0.0)
        for way in (self.there, self.back):
            way.is_open.set()

    async def close(self) -> None:
        """Break every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self.refuse()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _take(self, reader: StreamReader, writer: StreamWriter) -> None:
        carrying = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(carrying)
        carrying.add_done_callback(self._carrying.discard)
        carrying.add_done_callback(lambda _: writer.transport.abort())

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        ways: list[asyncio.Task[None]] = []
        target_writer: StreamWriter | None = None
        try:
            if self._refuses:
                return
            await self.there.is_open.wait()
            target_reader, target_writer = await self.target.open()
            ways.append(asyncio.create_task(self.there.pump(reader, target_writer)))
            ways.append(asyncio.create_task(self.back.pump(target_reader, writer)))
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the target is away: whoever connected sees that as its end
        finally:
            if target_writer is not None:
                target_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
