"""Opens gRPC channels to the scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, TypeVar

import grpc
from typing_extensions import override

from callsheet.errors import InvalidError

#: Bytes of one message, both ways; enough for 1,000 items.
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024

#: What is called the minimum of the backoff is how long one attempt to connect may take.
CHANNEL_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


def open_channel(target: str, *, token: str | None = None) -> grpc.aio.Channel:
    """Open a channel to *target*, host:port, or several separated by commas.

    Several are tried in turn, so that a call that a standby refuses reaches the leader when it is
    repeated. *token* is sent with every call as a bearer token.

    Raises:
        InvalidError: *target* is empty, or several are named and not by IP addresses of one family.
    """
    interceptors = _interceptors(token) if token else ()
    return grpc.aio.insecure_channel(target_uri(target), options=CHANNEL_OPTIONS, interceptors=interceptors)


def target_uri(target: str) -> str:
    """Return what gRPC calls *target*.

    Raises:
        InvalidError: As `open_channel` says.
    """
    addresses = [part.strip() for part in target.split(",") if part.strip()]
    if not addresses:
        raise InvalidError("name the scheduler as host:port", field="scheduler")
    if len(addresses) == 1:
        return addresses[0]
    families: set[int] = set()
    with suppress(ValueError):
        families = {ip_address(address.rpartition(":")[0].strip("[]")).version for address in addresses}
    if len(families) != 1:
        raise InvalidError(
            "several schedulers must be named by IP addresses of one family, as 10.0.0.1:7420,10.0.0.2:7420; "
            "or name one host that resolves to all of them",
            field="scheduler",
        )
    return f"ipv{families.pop()}:{','.join(addresses)}"


def _interceptors(token: str) -> Sequence[grpc.aio.ClientInterceptor]:
    return (_UnaryUnary(token), _UnaryStream(token), _StreamUnary(token), _StreamStream(token))


def _with_token(details: grpc.aio.ClientCallDetails, token: str) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {token}")
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    @override
    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, RequestT],
            Awaitable[grpc.aio.UnaryUnaryCall[RequestT, ResponseT]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: RequestT,
    ) -> ResponseT | grpc.aio.UnaryUnaryCall[RequestT, ResponseT]:
        return await continuation(_with_token(client_call_details, self._token), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    @override
    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, RequestT],
            Awaitable[grpc.aio.UnaryStreamCall[RequestT, ResponseT]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: RequestT,
    ) -> AsyncIterator[ResponseT] | grpc.aio.UnaryStreamCall[RequestT, ResponseT]:
        return await continuation(_with_token(client_call_details, self._token), request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    @override
    async def intercept_stream_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, AsyncIterable[RequestT] | Iterable[RequestT]],
            Awaitable[grpc.aio.StreamUnaryCall[RequestT, ResponseT]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: AsyncIterable[RequestT] | Iterable[RequestT],
    ) -> ResponseT | grpc.aio.StreamUnaryCall[RequestT, ResponseT]:
        return await continuation(_with_token(client_call_details, self._token), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    @override
    async def intercept_stream_stream(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, AsyncIterable[RequestT] | Iterable[RequestT]],
            Awaitable[grpc.aio.StreamStreamCall[RequestT, ResponseT]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: AsyncIterable[RequestT] | Iterable[RequestT],
    ) -> AsyncIterator[ResponseT] | grpc.aio.StreamStreamCall[RequestT, ResponseT]:
        return await continuation(_with_token(client_call_details, self._token), request_iterator)
