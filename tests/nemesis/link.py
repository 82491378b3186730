"""A stretch of network between two processes that can be cut, reset, slowed, or deafened in one direction."""

import asyncio
from asyncio import get_running_loop
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_INET, AF_UNIX, IPPROTO_TCP, SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, socket
from typing import Final

from typing_extensions import override

CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something listens: a path of a Unix socket, or an address."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @property
    def address(self) -> str | tuple[str, int]:
        """As the calls of sockets take it."""
        return (self.host, self.port) if self.path is None else str(self.path)

    def socket(self) -> socket:
        """Return a socket that can be bound or connected here, and never blocks."""
        made = socket(AF_INET if self.path is None else AF_UNIX)
        made.settimeout(0)
        if self.path is None:
            made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            made.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return made

    @override
    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"


@dataclass(slots=True, kw_only=True)
class Way:
    """One direction. What comes while it is held goes on when it is not, as after a loss of packets."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0

    async def pump(self, source: socket, target: socket) -> None:
        """Carry everything over, to the end of *source*."""
        loop = get_running_loop()
        while data := await loop.sock_recv(source, CHUNK_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self.is_open.wait()
            await loop.sock_sendall(target, data)


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
        self._listening: socket | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._refuses = False
        for way in (self.there, self.back):
            way.is_open.set()

    async def listen(self, place: Place) -> None:
        """Take connections at *place*; port 0 takes a free one."""
        if place.path is not None:
            place.path.parent.mkdir(exist_ok=True)
            place.path.unlink(missing_ok=True)
        self._listening = listening = place.socket()
        listening.bind(place.address)
        listening.listen()
        self.place = place
        if place.path is None:
            self.place = Place(host=place.host, port=listening.getsockname()[1])
        get_running_loop().add_reader(listening, self._take, listening)

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
        if self._listening is not None:
            get_running_loop().remove_reader(self._listening)
            self._listening.close()
        self.refuse()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _take(self, listening: socket) -> None:
        try:
            taken, _ = listening.accept()
        except OSError:
            return  # who wanted to connect is gone
        taken.settimeout(0)
        carrying = asyncio.create_task(self._carry(taken))
        self._carrying.add(carrying)
        carrying.add_done_callback(lambda _: taken.close())
        carrying.add_done_callback(self._carrying.discard)

    async def _carry(self, taken: socket) -> None:
        if self._refuses:
            return
        await self.there.is_open.wait()
        place = self.target
        with place.socket() as target, suppress(OSError):  # whoever connected sees it as the end
            await get_running_loop().sock_connect(target, place.address)
            ways = [
                asyncio.create_task(self.there.pump(taken, target)),
                asyncio.create_task(self.back.pump(target, taken)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
