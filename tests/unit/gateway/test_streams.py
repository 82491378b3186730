"""What ends a stream: its reader, its credential, the end of the gateway; and what a slow reader gets."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import suppress
from typing import Any

import pytest
from callsheet_gateway.live import sse
from callsheet_gateway.live.streams import ABORT_KEY, CHECK_KEY, HEAD_KEY, Streams
from fastapi import Request

from callsheet.errors import OverloadedError, UnauthenticatedError, UnavailableError
from tests.support.patience import PATIENCE_S

Message = MutableMapping[str, Any]


class Reader:
    """One who reads a stream: what arrived, and whether anything more is taken."""

    def __init__(self, streams: Streams, **scope: object) -> None:
        self.sent: list[Message] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = asyncio.Event()
        self.closed = False
        self.cut = 0
        self.checks: list[Exception | None] = []
        self.scope: dict[str, Any] = {"type": "http", "headers": [], CHECK_KEY: self._check, **scope}
        self.scope[ABORT_KEY] = self._cut
        answer = streams.answer(Request(self.scope), self._pieces())
        self.reading = asyncio.create_task(answer(self.scope, self._receive, self._send))

    def pieces(self) -> list[bytes]:
        """Return what arrived."""
        return [message["body"] for message in self.sent if message["type"] == "http.response.body"]

    async def ended(self) -> None:
        """Wait until the stream is over."""
        async with asyncio.timeout(PATIENCE_S):
            await self.reading

    async def has(self, piece: bytes) -> None:
        """Wait until this arrived."""
        async with asyncio.timeout(PATIENCE_S):
            while piece not in self.pieces():  # noqa: ASYNC110 -- nothing sets an event
                await asyncio.sleep(0)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            self.closed = True

    async def _check(self) -> None:
        if self.checks and (error := self.checks.pop(0)) is not None:
            raise error

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.takes.wait()
        self.sent.append(message)

    def _cut(self) -> None:
        self.cut += 1
        self.gone.set()
        self.takes.set()


@pytest.fixture
def streams() -> Streams:
    return Streams(2, heartbeat_s=0.02)


async def test_silent_stream_has_heartbeats_until_its_reader_goes(streams: Streams) -> None:
    reader = Reader(streams)
    await reader.has(sse.HEARTBEAT)
    assert reader.pieces()[0] == b"first"
    reader.gone.set()
    await reader.ended()
    assert reader.closed


async def test_stream_ends_when_its_credential_is_good_no_longer(streams: Streams) -> None:
    reader = Reader(streams)
    reader.checks = [None, UnavailableError("the scheduler is away"), UnauthenticatedError("it has expired")]
    await reader.ended()
    assert not reader.checks
    assert reader.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert reader.closed


async def test_all_streams_end_when_the_gateway_stops_also_those_that_begin_then(streams: Streams) -> None:
    reader = Reader(streams)
    await reader.has(b"first")
    streams.end_all()
    await reader.ended()
    late = Reader(streams)
    await late.ended()
    assert reader.sent[-1]["more_body"] is late.sent[-1]["more_body"] is False


async def test_reader_that_takes_nothing_is_cut_off() -> None:
    reader = Reader(Streams(1, heartbeat_s=0.01, taken_within_s=0.05))
    await reader.has(b"first")
    reader.takes.clear()
    await reader.ended()
    assert reader.cut >= 1
    assert reader.closed


async def test_more_streams_than_allowed_are_refused_until_one_ends(streams: Streams) -> None:
    readers = [Reader(streams), Reader(streams)]
    for reader in readers:
        await reader.has(b"first")
    with pytest.raises(OverloadedError, match="2 event streams are open"):
        Reader(streams)
    readers[0].gone.set()
    await readers[0].ended()
    third = Reader(streams)
    await third.has(b"first")
    for reader in (readers[1], third):
        reader.reading.cancel()
        with suppress(asyncio.CancelledError):
            await reader.reading
        assert reader.closed


async def test_head_has_no_stream(streams: Streams) -> None:
    reader = Reader(streams, **{HEAD_KEY: True})
    await reader.ended()
    assert reader.pieces() == [b""]
    assert (b"content-type", b"text/event-stream; charset=utf-8") in reader.sent[0]["headers"]
