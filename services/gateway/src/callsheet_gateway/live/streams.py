"""Answers that go on: how many may be open, what ends them, and what becomes of one whose reader is slow."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

from fastapi import Request, Response
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from callsheet.errors import (
    CallsheetError,
    DeniedError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet_gateway.live import sse
from callsheet_gateway.metrics import STREAMS

CHECK_KEY: Final = "callsheet.check"
"""Where the scope of a request has the check of its credential, to be made again."""
HEAD_KEY: Final = "callsheet.head"
"""Where the scope of a request says that only the head of its answer is wanted."""
ABORT_KEY: Final = "callsheet.abort"
"""Where the scope of a request has what cuts its connection."""
TAKEN_WITHIN_S: Final = 30.0
"""How long a reader may take nothing of what is sent; then its connection is cut."""
FULL_RETRY_S: Final = 5.0

Over = asyncio.Future[None]
"""Is done when a stream has to end."""
Check = Callable[[], Awaitable[object]]
"""Raises an error of the tree when a credential is not good any more."""


class Streams:
    """The streams that are open."""

    def __init__(
        self, streams_max: int, *, heartbeat_s: float, taken_within_s: float = TAKEN_WITHIN_S
    ) -> None:
        self._streams_max = streams_max
        self.heartbeat_s = heartbeat_s
        """How often a stream is sent a comment, and its credential is looked at again."""
        self.taken_within_s = taken_within_s
        self._open: set[Over] = set()
        self._ended = False

    def answer(self, request: Request, pieces: AsyncGenerator[bytes, None]) -> Response:
        """Return the answer that sends *pieces* as server-sent events.

        Raises:
            OverloadedError: Too many streams are open.
        """
        if len(self._open) >= self._streams_max:
            raise OverloadedError(
                f"{self._streams_max} event streams are open; close one, or set CALLSHEET_EVENT_STREAMS_MAX",
                retry_after_s=FULL_RETRY_S,
            )
        return EventStream(self, request, pieces)

    def begin(self) -> Over:
        """Count a stream; what this returns is done when all have to end."""
        over: Over = asyncio.get_running_loop().create_future()
        if self._ended:
            over.set_result(None)
        self._open.add(over)
        STREAMS.set(len(self._open))
        return over

    def finish(self, over: Over) -> None:
        """Count a stream no longer."""
        self._open.discard(over)
        STREAMS.set(len(self._open))

    def end_all(self) -> None:
        """Let every stream end."""
        self._ended = True
        for over in self._open:
            if not over.done():
                over.set_result(None)


class EventStream(Response):
    """An answer of server-sent events. It holds one piece at a time, and waits until that is taken."""

    media_type = sse.MEDIA_TYPE

    def __init__(self, streams: Streams, request: Request, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=sse.MEDIA_TYPE
        )
        del self.headers["content-length"]
        self._streams = streams
        self._request = request
        self._pieces = pieces

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        over = self._streams.begin()
        listening = asyncio.create_task(_until_gone(receive, over))
        cut = cast("Callable[[], None]", scope.get(ABORT_KEY, lambda: None))
        sending = _Sending(send, cut, within_s=self._streams.taken_within_s)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if not scope.get(HEAD_KEY, False):
                await self._send_all(over, sending)
            await sending(b"", more=False)
        finally:
            self._streams.finish(over)
            sending.close()
            listening.cancel()
            await self._pieces.aclose()

    async def _send_all(self, over: Over, sending: "_Sending") -> None:
        """Send until the pieces or the credential end, the reader goes, or the gateway stops."""
        parts = [asyncio.create_task(self._pass_on(sending)), asyncio.create_task(self._beat(sending))]
        try:
            await asyncio.wait({*parts, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in parts:
                task.cancel()
            ends = await asyncio.gather(*parts, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _pass_on(self, sending: "_Sending") -> None:
        """Send the pieces; an error of the tree is an end, since the answer has begun."""
        with suppress(CallsheetError):
            async for piece in self._pieces:
                await sending(piece)

    async def _beat(self, sending: "_Sending") -> None:
        """Send a comment now and then, as long as the credential is good."""
        while True:
            await asyncio.sleep(self._streams.heartbeat_s)
            if not await self._is_allowed():
                return
            if not sending.is_busy:
                await sending(sse.HEARTBEAT)

    async def _is_allowed(self) -> bool:
        """Look at the credential again; where that is not possible now, it is taken to be good."""
        with suppress(UnavailableError):
            try:
                await cast("Check", self._request.scope[CHECK_KEY])()
            except (UnauthenticatedError, DeniedError):
                return False
        return True


class _Sending:
    """What is sent to one reader, whose connection is cut when nothing of it was taken for too long.

    The deadline is looked at now and then. To set one for each piece cost as much as the piece.
    """

    def __init__(self, send: Send, cut: Callable[[], None], *, within_s: float) -> None:
        self._send = send
        self._cut = cut
        self._within_s = within_s
        self._loop = asyncio.get_running_loop()
        self._begun_at: float | None = None
        self._look = self._loop.call_later(within_s, self._check)

    @property
    def is_busy(self) -> bool:
        """Whether a piece is on its way."""
        return self._begun_at is not None

    async def __call__(self, piece: bytes, *, more: bool = True) -> None:
        """Send a piece, and return when it was taken or the connection is gone."""
        message: Message = {"type": "http.response.body", "body": piece, "more_body": more}
        self._begun_at = self._loop.time()
        try:
            await self._send(message)
        finally:
            self._begun_at = None

    def close(self) -> None:
        """Look no more."""
        self._look.cancel()

    def _check(self) -> None:
        left_s = self._within_s
        if self._begun_at is not None:
            left_s -= self._loop.time() - self._begun_at
            if left_s <= 0:
                self._cut()
                left_s = self._within_s
        self._look = self._loop.call_later(left_s, self._check)


async def _until_gone(receive: Receive, over: Over) -> None:
    """Wait until the reader is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not over.done():
        over.set_result(None)
