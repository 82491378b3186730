"""Lets one request write to an upload at a time; a newer one takes over from one whose client fell silent."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from callsheet.errors import UnavailableError
from callsheet.within import within
from callsheet.worker.threads import in_thread
from callsheet_gateway.uploads.arrivals import Arrivals, Writer
from callsheet_gateway.uploads.records import Record

TAKEOVER_S: Final = 5.0
"""How long a newer request waits for an older one to let go."""
LOOK_S: Final = 0.1


class Turn:
    """One request's turn."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._limit: asyncio.Timeout | None = None
        self._taken_over = False

    async def pieces(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Yield a body as it comes.

        Raises:
            HTTPException: A newer request took over.
            UnavailableError: The client fell silent or went away.
        """
        while not self._taken_over:
            try:
                async with within(self._idle_s) as self._limit:
                    piece = await anext(body)
            except StopAsyncIteration:
                return
            except ClientDisconnect as error:
                raise UnavailableError("the connection was cut; go on where HEAD says") from error
            except TimeoutError as error:
                if not self._taken_over:
                    raise UnavailableError(
                        f"nothing came for {self._idle_s:g} s; go on where HEAD says"
                    ) from error
            else:
                yield piece
            finally:
                self._limit = None
        raise in_use()

    def end(self) -> None:
        """Have it end soon."""
        self._taken_over = True
        if self._limit is not None:
            self._limit.reschedule(0)


class Turns:
    """Who writes to what in this process; between processes a lock of the file decides."""

    def __init__(self, idle_s: float) -> None:
        """Take how long a client may send nothing."""
        self._idle_s = idle_s
        self._present: dict[str, Turn] = {}

    @asynccontextmanager
    async def turn(self, arrivals: Arrivals, record: Record) -> AsyncGenerator[tuple[Turn, Writer]]:
        """Give the turn at an upload.

        Raises:
            HTTPException: 423, somebody else has it and does not let go.
            FileNotFoundError: Its bytes are gone, or were put in their place.
        """
        writer = await self._writer(arrivals, record)
        turn = self._present[record.id] = Turn(self._idle_s)
        try:
            yield turn, writer
        finally:
            if self._present.get(record.id) is turn:
                del self._present[record.id]
            await in_thread(writer.close)

    async def _writer(self, arrivals: Arrivals, record: Record) -> Writer:
        try:
            async with within(TAKEOVER_S):
                while (writer := await in_thread(lambda: arrivals.writer(record), _let_go)) is None:
                    if record.id in self._present:
                        self._present[record.id].end()
                    await asyncio.sleep(LOOK_S)
                return writer
        except TimeoutError:
            raise in_use() from None


def in_use() -> HTTPException:
    """Return what a request is told that may not write now."""
    return HTTPException(HTTPStatus.LOCKED, "another request writes to this upload; ask again in a moment")


def _let_go(writer: Writer | None) -> None:
    if writer is not None:
        writer.close()
