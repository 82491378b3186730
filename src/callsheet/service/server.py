"""A gRPC server with what every service wants: limits, credentials, errors as statuses, health."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from typing_extensions import override

from callsheet.channel import MESSAGE_BYTES_MAX
from callsheet.errors import CallsheetError, InvalidError, UnavailableError
from callsheet.service import telemetry
from callsheet.wire_errors import status_of

log = logging.getLogger(__name__)

#: Seconds that a unary call may take at most, whatever its caller says.
DEADLINE_S: Final = 30.0

STREAMS_MAX: Final = 1000
"""Calls at once on one connection."""

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
Unary = Callable[[Message, Context], Awaitable[Message]]
Stream = Callable[[object, Context], AsyncGenerator[Message, None]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

#: Methods that need no credential. They are not ours and raise nothing of ours.
OPEN: Final = "/grpc.health.v1.Health/"


class _Border(grpc.aio.ServerInterceptor):
    """Checks the credential of a call and turns what it raises into a status."""

    def __init__(self, token: str | None, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._wanted = None if token is None else f"Bearer {token}".encode()

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
        if not self._admits(details):
            return _refusing(handler)
        codec = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary is not None:
            unary = _unary(cast("Unary", handler.unary_unary), details.method, self._deadline_s)
            return grpc.unary_unary_rpc_method_handler(unary, *codec)
        if handler.unary_stream is not None:
            stream = _stream(cast("Stream", handler.unary_stream), details.method)
            return grpc.unary_stream_rpc_method_handler(stream, *codec)
        if handler.stream_stream is not None:
            stream = _stream(cast("Stream", handler.stream_stream), details.method)
            return grpc.stream_stream_rpc_method_handler(stream, *codec)
        unary = _unary(cast("Unary", handler.stream_unary), details.method, self._deadline_s)
        return grpc.stream_unary_rpc_method_handler(unary, *codec)

    def _admits(self, details: grpc.HandlerCallDetails) -> bool:
        if self._wanted is None:
            return True
        given = dict(details.invocation_metadata or ()).get("authorization", "")
        raw = given if isinstance(given, bytes) else given.encode()
        return hmac.compare_digest(raw, self._wanted)


def _unary(behaviour: Unary, method: str, deadline_s: float) -> Unary:
    async def call(request: Message, context: Context) -> Message:
        try:
            async with asyncio.timeout(deadline_s):
                if not telemetry.is_on():
                    return await behaviour(request, context)
                with telemetry.span(method.removeprefix("/"), _headers(context)):
                    return await behaviour(request, context)
        except Exception as error:  # the border: everything becomes a status
            await _abort(context, error, method)
            raise

    return call


def _stream(behaviour: Stream, method: str) -> Stream:
    async def call(request: object, context: Context) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    yield message
        except Exception as error:  # the border: everything becomes a status
            await _abort(context, error, method)
            raise

    return call


def _headers(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _refusing(handler: Handler) -> Handler:
    async def refuse(_: object, context: Context) -> Message:
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "this call needs the right join token: set CALLSHEET_JOIN_TOKEN_FILE",
        )
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


async def _abort(context: Context, error: Exception, method: str) -> None:
    if isinstance(error, TimeoutError):
        error = UnavailableError("the call took too long; whether it took effect is unknown, repeat it")
    if isinstance(error, CallsheetError):
        code, message, trailer = status_of(error)
        await context.abort(code, message, trailer)
    if isinstance(error, grpc.aio.AbortError):
        raise error
    log.error("a call failed", extra={"method": method}, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "an error of Callsheet; its log says more")


def make_server(*, token: str | None, deadline_s: float = DEADLINE_S) -> grpc.aio.Server:
    """Return a server that wants *token* with every call; add the services, then ``serve``.

    Raises:
        InvalidError: The token is too short to keep anybody out.
    """
    if token is not None and len(token) < TOKEN_LENGTH_MIN:
        raise InvalidError(f"the join token must have at least {TOKEN_LENGTH_MIN} characters")
    return grpc.aio.server(interceptors=(_Border(token, deadline_s),), options=SERVER_OPTIONS)


async def serve(server: grpc.aio.Server, address: str, services: Sequence[str]) -> int:
    """Add health and reflection for *services*, start, and return the bound port.

    Raises:
        UnavailableError: The address is taken.
    """
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for name in ("", *services):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        message = f"cannot listen on {address}: the port is taken or not allowed"
        raise UnavailableError(message) from error
    await server.start()
    return port
