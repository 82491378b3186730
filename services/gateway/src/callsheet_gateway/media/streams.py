"""Sends the bytes of originals in pieces: whole, in part, or not at all where they are known."""

import logging
from collections.abc import AsyncGenerator
from email.utils import formatdate
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from callsheet.errors import AttemptError, BadInputError, NotFoundError, StateError, UnavailableError
from callsheet.v1.library_service_pb2 import Item, ItemFacts
from callsheet.within import within
from callsheet.worker.storage.library import Reader
from callsheet.worker.threads import in_thread
from callsheet_gateway.live.streams import HEAD_KEY
from callsheet_gateway.media.media_types import BYTES, disposition, media_type
from callsheet_gateway.media.ranges import Part, Verdict, verdict, wanted_part
from callsheet_gateway.problems import problem_response
from callsheet_gateway.state import State

log = logging.getLogger(__name__)

NS: Final = 1_000_000_000


class Original(StreamingResponse):
    """A part of an original. It may take as long as the client takes, if that never stands still."""

    def __init__(self, reader: Reader, part: Part, *, status_code: int, stall_s: float) -> None:
        super().__init__(_pieces(reader, part), status_code=status_code)
        self._reader = reader
        self._stall_s = stall_s

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. What breaks in the middle ends the connection, so that no client takes a part for all."""

        async def in_time(message: Message) -> None:
            async with within(self._stall_s):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        except (AttemptError, TimeoutError) as error:
            log.info("an original was not sent to its end", extra={"reason": str(error) or "nobody reads it"})
        finally:
            await in_thread(self._reader.close)


async def answer_with_original(request: Request, state: State, item: Item, *, download: bool) -> Response:
    """Return the answer to a request for the bytes of an item's file as it is now.

    Raises:
        StateError: It lies in a root that this gateway does not reach.
        NotFoundError: It is gone.
        UnavailableError: Its root cannot be read now.
        UnsatisfiableError: There are fewer bytes than those that are asked for.
    """
    facts = item.facts
    state.views.note(item.id)
    reader = await _opened(state, facts)
    try:
        answer = _answer(request, facts, reader, state.settings.stream_stall_s)
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            answer.headers.update(_headers(facts, reader, download=download))
    except BaseException:
        reader.close()
        raise
    if not isinstance(answer, Original):
        await in_thread(reader.close)
    return answer


def _answer(request: Request, facts: ItemFacts, reader: Reader, stall_s: float) -> Response:
    etag, size_bytes = _etag(facts, reader), reader.size_bytes
    match verdict(request.headers, etag, reader.mtime_ns // NS):
        case Verdict.KNOWN:
            return Response(status_code=304)
        case Verdict.REFUSED:
            return problem_response(412, "the file has another version than If-Match or a date asks for")
        case Verdict.SEND:
            pass
    whole = Part(first=0, last=size_bytes - 1)
    if HEAD_KEY in request.scope:  # for which Range means nothing
        return Response(headers={"Content-Length": str(size_bytes)})
    asked = request.headers.get("range", ""), request.headers.get("if-range", "")
    part = wanted_part(*asked, etag, size_bytes)
    sent = part or whole
    answer = Original(reader, sent, status_code=206 if part else 200, stall_s=stall_s)
    answer.headers["Content-Length"] = str(sent.last + 1 - sent.first)
    if part:
        answer.headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size_bytes}"
    return answer


def _headers(facts: ItemFacts, reader: Reader, *, download: bool) -> dict[str, str]:
    kind = media_type(facts)
    name = facts.path.rpartition("/")[2]
    return {
        "Content-Type": kind,
        "Content-Disposition": disposition(name, inline=kind != BYTES and not download),
        "ETag": _etag(facts, reader),
        "Last-Modified": formatdate(reader.mtime_ns // NS, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
    }


def _etag(facts: ItemFacts, reader: Reader) -> str:
    """Return the entity tag, with its quotes: another size, or instant of change, has another."""
    named = f"{facts.root}\n{facts.path}\n{reader.size_bytes}\n{reader.mtime_ns}"
    return f'"{sha256(named.encode()).hexdigest()[:32]}"'


async def _opened(state: State, facts: ItemFacts) -> Reader:
    if facts.root not in state.roots:
        raise StateError(
            f"the file lies in the root {facts.root}, which this gateway does not reach; "
            "name it in CALLSHEET_ROOTS"
        )
    try:
        return await in_thread(
            lambda: state.roots.reader(facts.root, facts.path), lambda reader: reader.close()
        )
    except BadInputError as error:
        raise NotFoundError(f"the file is gone or cannot be served: {error.message}") from error
    except AttemptError as error:
        raise UnavailableError(f"the file cannot be read now: {error.message}") from error


async def _pieces(reader: Reader, part: Part) -> AsyncGenerator[bytes]:
    at = part.first
    while at <= part.last:
        wanted = min(reader.piece_bytes, part.last + 1 - at)
        piece = await in_thread(partial(reader.read, at, wanted))
        if not piece:
            raise BadInputError("the file is shorter than it was")
        yield piece
        at += len(piece)
