"""A gRPC server with what every service wants: limits, credentials, errors as statuses, health."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from typing_extensions import override

from callsheet.channel import MESSAGE_BYTES_MAX
from callsheet.errors import (
    CallsheetError,
    DeniedError,
    InvalidError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet.service import telemetry
from callsheet.service.peers import check_caller
from callsheet.service.permissions import PERMISSIONS, check_complete
from callsheet.tls import TlsFolder
from callsheet.wire_errors import status_of

log = logging.getLogger(__name__)

#: Seconds that a unary call may take at most, whatever its caller says.
DEADLINE_S: Final = 5.0

#: Seconds that a call which is ended may take to clean up before its caller is answered all the same.
LAST_WORDS_S: Final = 0.2

STREAMS_MAX: Final = 1000
"""Calls at once on one connection."""

CALLS_MAX: Final = 4000
"""Unary calls at once on all connections; beyond, they are refused before they cost anything."""

TOKEN_LENGTH_MIN: Final = 16
"""Characters of a token at least; those that are made here have 43."""

SERVER_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_concurrent_streams", STREAMS_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)

Context = grpc.aio.ServicerContext[Message, Message]
Unary = Callable[[Message, Context], Coroutine[object, object, Message]]
Stream = Callable[[object, Context], AsyncGenerator[Message, None]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

#: Methods that need no credential. They are not ours and raise nothing of ours.
OPEN: Final = "/grpc.health.v1.Health/"

#: Methods that tell of the server and not of what it serves.
ABOUT: Final = "/grpc."

#: Calls that were ended and still clean up.
_ENDING: Final[set[asyncio.Task[Message]]] = set()


def _serves() -> CallsheetError | None:
    return None


def _as_it_is(_: Exception) -> CallsheetError | None:
    return None


def _alone(_: str, behaviour: Unary) -> Unary:
    return behaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What a service adds to the rules of every server."""

    refusal: Callable[[], CallsheetError | None] = _serves
    """Asked at the beginning of each call of the service: why it is refused now, None where it is not."""
    known: Callable[[Exception], CallsheetError | None] = _as_it_is
    """What an error that is none of the tree means to the caller; None for a fault."""
    around: Callable[[str, Unary], Unary] = _alone
    """Given the path and the behaviour of a unary method: the behaviour with what surrounds it here."""


class _Border(grpc.aio.ServerInterceptor):
    """Checks the credential of a call and turns what it raises into a status."""

    def __init__(self, token: str | None, deadline_s: float, house: House, calls_max: int) -> None:
        self._deadline_s = deadline_s
        self._calls_max = calls_max
        self._calls = 0
        self._wanted = None if token is None else f"Bearer {token}".encode()
        self._house = house

    @override
    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails],
            Awaitable[grpc.RpcMethodHandler[RequestT, ResponseT] | None],
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT] | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        wrapped = self._wrap(cast("Handler", handler), handler_call_details)
        return cast("grpc.RpcMethodHandler[RequestT, ResponseT]", wrapped)

    def _wrap(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        if details.method.startswith(OPEN):
            return handler
        if (refusal := self._refusal(details)) is not None:
            return _refusing(handler, refusal)
        known = self._house.known
        codec = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary is not None:
            around = self._house.around(details.method, cast("Unary", handler.unary_unary))
            counted = self._counted(around, details.method)
            unary = _unary(counted, details.method, self._deadline_s, known)
            return grpc.unary_unary_rpc_method_handler(unary, *codec)
        if handler.unary_stream is not None:
            stream = _stream(cast("Stream", handler.unary_stream), details.method, known)
            return grpc.unary_stream_rpc_method_handler(stream, *codec)
        if handler.stream_stream is not None:
            stream = _stream(cast("Stream", handler.stream_stream), details.method, known)
            return grpc.stream_stream_rpc_method_handler(stream, *codec)
        counted = self._counted(cast("Unary", handler.stream_unary), details.method)
        unary = _unary(counted, details.method, self._deadline_s, known)
        return grpc.stream_unary_rpc_method_handler(unary, *codec)

    def _refusal(self, details: grpc.HandlerCallDetails) -> CallsheetError | None:
        if details.method not in PERMISSIONS:
            return DeniedError("no role may call this method")
        if not self._admits(details):
            return UnauthenticatedError("this call needs the right join token: set CALLSHEET_JOIN_TOKEN_FILE")
        return None if details.method.startswith(ABOUT) else self._house.refusal()

    def _counted(self, behaviour: Unary, method: str) -> Unary:
        async def call(request: Message, context: Context) -> Message:
            check_caller(context, method)
            if self._calls >= self._calls_max:
                raise OverloadedError("too many calls at once; come back in a moment")
            self._calls += 1
            try:
                return await behaviour(request, context)
            finally:
                self._calls -= 1

        return call

    def _admits(self, details: grpc.HandlerCallDetails) -> bool:
        if self._wanted is None:
            return True
        given = dict(details.invocation_metadata or ()).get("authorization", "")
        raw = given if isinstance(given, bytes) else given.encode()
        return hmac.compare_digest(raw, self._wanted)


Known: TypeAlias = Callable[[Exception], CallsheetError | None]


def _unary(behaviour: Unary, method: str, deadline_s: float, known: Known) -> Unary:
    async def call(request: Message, context: Context) -> Message:
        try:
            if not telemetry.is_on():
                return await in_time(behaviour(request, context), deadline_s)
            with telemetry.span(method.removeprefix("/"), _headers(context)):
                return await in_time(behaviour(request, context), deadline_s)
        except Exception as error:  # the border: everything becomes a status
            await _abort(context, error, method, known)
            raise

    return call


async def in_time(behaviour: Coroutine[object, object, Message], deadline_s: float) -> Message:
    """Return what *behaviour* returns, or end it; one that hangs even then is not waited for.

    It must not ask the context of its call anything in its last words: gRPC has taken that away then, and
    the process crashes.

    Raises:
        TimeoutError: It took longer than *deadline_s*.
    """
    running = asyncio.create_task(behaviour)
    try:
        await asyncio.wait({running}, timeout=deadline_s)
        if running.done():
            return running.result()
        raise TimeoutError
    finally:
        if running.done():
            _ended(running)  # who is cancelled in that instant does not ask for the error
        else:
            _ENDING.add(running)
            running.add_done_callback(_ended)
            running.cancel()
            await asyncio.wait({running}, timeout=LAST_WORDS_S)


def _ended(running: asyncio.Task[Message]) -> None:
    _ENDING.discard(running)
    if not running.cancelled():
        running.exception()


def _stream(behaviour: Stream, method: str, known: Known) -> Stream:
    async def call(request: object, context: Context) -> AsyncGenerator[Message, None]:
        try:
            check_caller(context, method)
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    yield message
        except Exception as error:  # the border: everything becomes a status
            await _abort(context, error, method, known)
            raise

    return call


def _headers(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _refusing(handler: Handler, error: CallsheetError) -> Handler:
    async def refuse(_: object, context: Context) -> Message:
        await context.abort(*status_of(error))
        raise AssertionError

    async def refuse_stream(_: object, context: Context) -> AsyncGenerator[Message, None]:
        yield await refuse(_, context)

    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(refuse)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(refuse_stream)
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    return grpc.stream_unary_rpc_method_handler(refuse)


async def _abort(context: Context, error: Exception, method: str, known: Known) -> None:
    if isinstance(error, TimeoutError):
        error = UnavailableError("the call took too long; whether it took effect is unknown, repeat it")
    if not isinstance(error, CallsheetError | grpc.aio.AbortError):
        error = known(error) or error
    if isinstance(error, CallsheetError):
        code, message, trailer = status_of(error)
        await context.abort(code, message, trailer)
    if isinstance(error, grpc.aio.AbortError):
        raise error
    log.error("a call failed", extra={"method": method}, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "an error of Callsheet; its log says more")


def make_server(
    *,
    token: str | None,
    deadline_s: float = DEADLINE_S,
    house: House | None = None,
    calls_max: int = CALLS_MAX,
) -> grpc.aio.Server:
    """Return a server that wants *token* with every call; add the services, then ``serve``.

    Raises:
        InvalidError: The token is too short to keep anybody out.
    """
    if token is not None and len(token) < TOKEN_LENGTH_MIN:
        raise InvalidError(f"the join token must have at least {TOKEN_LENGTH_MIN} characters")
    return grpc.aio.server(
        interceptors=(_Border(token, deadline_s, house or House(), calls_max),), options=SERVER_OPTIONS
    )


class Checks:
    """What a server says of its health, on the protocol of gRPC."""

    def __init__(self, services: Sequence[str]) -> None:
        self._names = ("", *services)
        self.servicer = health.aio.HealthServicer()

    async def tell(self, *, well: bool) -> None:
        """Say of every service that it is well, or that it is not."""
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, status.SERVING if well else status.NOT_SERVING)


async def serve(
    server: grpc.aio.Server,
    address: str,
    services: Sequence[str],
    checks: Checks | None = None,
    tls: TlsFolder | None = None,
) -> int:
    """Add health and reflection for *services*, start, and return the bound port.

    Everything is said to be well, unless *checks* are given and told otherwise. With *tls* only who shows a
    certificate of its CA gets a connection.

    Raises:
        InvalidError: Nobody may call one of the methods: it has no entry among the permissions.
        UnavailableError: The address is taken.
    """
    check_complete(services)
    told = checks or Checks(services)
    health_pb2_grpc.add_HealthServicer_to_server(told.servicer, server)
    await told.tell(well=True)
    reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, tls.server_credentials())
    except RuntimeError as error:
        message = f"cannot listen on {address}: the port is taken or not allowed"
        raise UnavailableError(message) from error
    await server.start()
    return port
