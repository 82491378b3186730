"""A link carries bytes, and breaks as it is told."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.nemesis.link import Link, Place
from tests.support.patience import PATIENCE_S


@asynccontextmanager
async def echo(folder: Path) -> AsyncGenerator[Place]:
    """A server that says everything back, in capitals."""

    ended: list[Awaitable[None]] = []

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        ended.append(writer.wait_closed())
        with suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data.upper())
        writer.close()

    place = Place(path=folder / "echo")
    server = await asyncio.start_unix_server(serve, place.path)
    try:
        yield place
    finally:
        server.close()
        await asyncio.gather(*ended, return_exceptions=True)


@asynccontextmanager
async def linked(folder: Path) -> AsyncGenerator[Link]:
    async with echo(folder) as place:
        link = Link(place)
        await link.listen(Place(host="127.0.0.1"))
        try:
            yield link
        finally:
            await link.close()


async def heard(reader: StreamReader, count: int) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reader.readexactly(count)


async def test_what_goes_in_comes_out_and_is_answered(tmp_path: Path) -> None:
    async with linked(tmp_path) as link:
        reader, writer = await asyncio.open_connection(link.place.host, link.place.port)
        writer.write(b"hello")

        assert await heard(reader, 5) == b"HELLO"
        writer.close()


@pytest.mark.parametrize("held", ["there", "back"])
async def test_what_is_held_goes_on_when_the_link_is_healed(tmp_path: Path, held: str) -> None:
    async with linked(tmp_path) as link:
        reader, writer = await asyncio.open_connection(link.place.host, link.place.port)
        writer.write(b"one")
        assert await heard(reader, 3) == b"ONE"
        link.hold(getattr(link, held))
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.readexactly(3)
        link.heal()

        assert await heard(reader, 3) == b"TWO"
        writer.close()


async def test_a_reset_loses_what_is_held_and_a_new_connection_works(tmp_path: Path) -> None:
    async with linked(tmp_path) as link:
        reader, writer = await asyncio.open_connection(link.place.host, link.place.port)
        link.hold(link.back)
        writer.write(b"lost")
        link.reset()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await heard(reader, 4)
        writer.close()
        link.heal()
        reader, writer = await asyncio.open_connection(link.place.host, link.place.port)
        writer.write(b"found")

        assert await heard(reader, 5) == b"FOUND"
        writer.close()


async def test_a_refusing_link_ends_every_connection(tmp_path: Path) -> None:
    async with linked(tmp_path) as link:
        link.refuse()
        reader, writer = await asyncio.open_connection(link.place.host, link.place.port)

        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await heard(reader, 1)
        writer.close()


async def test_a_link_to_nobody_ends_every_connection() -> None:
    link = Link(Place(path=Path("/nobody/listens")))
    await link.listen(Place(host="127.0.0.1"))
    reader, writer = await asyncio.open_connection(link.place.host, link.place.port)

    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await heard(reader, 1)
    writer.close()
    await link.close()
