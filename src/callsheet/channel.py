"""Opens a channel to the scheduler that leads, whichever of several that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, Self, TypeAlias, TypeVar, cast

import grpc
from typing_extensions import override

from callsheet.addresses import split_address
from callsheet.errors import InvalidError
from callsheet.identities import SCHEDULER_NAME
from callsheet.service import telemetry
from callsheet.tls import Credentials, TlsFolder, channel_credentials
from callsheet.tls_trouble import tls_trouble
from callsheet.wire_errors import LEADER_KEY

if TYPE_CHECKING:
    from types import TracebackType

    from callsheet.acting import Said

#: Bytes of one message, both ways; enough for a page of 200 items with 16 KiB of facts each.
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024

#: What is called the minimum of the backoff is how long one attempt to connect may take. Names are looked up
#: again after a second, not after the 30 of the default: a scheduler in a container comes back elsewhere.
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
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
)

#: Seconds that calls to a scheduler that leads no longer have to come to their end.
OLD_LEADER_GRACE_S: Final = 10.0

#: After these, another scheduler may be the one to ask.
_ELSEWHERE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ParamsT = ParamSpec("ParamsT")
CallT = TypeVar("CallT", bound=grpc.aio.Call)
MetadataT: TypeAlias = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]] | None
SerializerT: TypeAlias = Callable[[RequestT], bytes] | None
DeserializerT: TypeAlias = Callable[[bytes], ResponseT] | None


def open_channel(
    target: str, *, token: str | None = None, tls: TlsFolder | None = None, said: Said = ()
) -> LeaderChannel:
    """Open a channel to *target*, host:port, or several separated by commas.

    A call goes to one of them. Where it is refused because another scheduler leads, the next calls go
    to that one; where nobody answers, to the next that is named. So a call that is repeated reaches the
    leader. *token* is sent with every call as a bearer token, and with it what the caller has *said* of
    itself. ``wait_for_ready`` waits only where there is nobody else to ask. With *tls* only a scheduler of
    its CA is spoken with, whatever its address; when the files change, new calls go over a new connection,
    and those under way end on the old one.

    Raises:
        InvalidError: *target* is empty.
    """
    return LeaderChannel(_Route(_addresses(target), tls), token, said)


def _addresses(target: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in target.split(",") if part.strip())
    if not addresses:
        raise InvalidError("name the scheduler as host:port", field="scheduler")
    return addresses


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """A channel to one address, and how many calls are under way on it."""

    channel: grpc.aio.Channel
    shown: Credentials | None
    calls: int = 0


class _Route:
    """Where calls go at present."""

    def __init__(self, named: tuple[str, ...], tls: TlsFolder | None) -> None:
        self._named = named
        self.tls = tls
        self._turn = 0
        self._lines: dict[str, _Line] = {}
        self._retired: set[_Line] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.address = named[0]

    def line(self) -> _Line:
        """Return the channel to the scheduler that is to be asked.

        Raises:
            UsageError: The route is closed.
        """
        shown = None if self.tls is None else self.tls.newest
        found = self._lines.get(self.address)
        if found is not None and found.shown is shown:
            return found
        if self._closed:
            raise grpc.aio.UsageError("the channel is closed")
        if found is not None:
            self._retired.add(found)
            self.left(found)
        made = _Line(channel=_connected(self.address, shown), shown=shown)
        self._lines[self.address] = made
        return made

    def left(self, line: _Line) -> None:
        """See whether the last call of a line that is retired has ended."""
        if line in self._retired and not line.calls:
            self._retired.discard(line)
            self._end(line)

    def _end(self, line: _Line) -> None:
        closing = asyncio.create_task(line.channel.close(OLD_LEADER_GRACE_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def failed(self, address: str, leader: str) -> None:
        """A call to *address* got no answer, or was sent to *leader*."""
        if address != self.address:
            return
        if leader and leader != address:
            self.address = leader
        else:
            self._turn = (self._turn + 1) % len(self._named)
            self.address = self._named[self._turn]
        if address not in self._named and address != self.address:
            self._end(self._lines.pop(address))

    @property
    def alone(self) -> bool:
        """Whether there is nobody else to ask."""
        return self._named == (self.address,)

    async def close(self, grace: float | None) -> None:
        """End all connections."""
        self._closed = True
        for closing in self._closing:
            closing.cancel()
        lines = [*self._lines.values(), *self._retired]
        self._lines.clear()
        self._retired.clear()
        await asyncio.gather(
            *(line.channel.close(grace) for line in lines), *self._closing, return_exceptions=True
        )


def _connected(address: str, shown: Credentials | None) -> grpc.aio.Channel:
    if shown is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    options = (*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SCHEDULER_NAME))
    return grpc.aio.secure_channel(address, channel_credentials(shown), options=options)


class _Calls:
    """Learns from how calls end where the next ones should go."""

    def __init__(self, route: _Route, token: str | None, said: Said) -> None:
        self.route = route
        self._said = said if token is None else (("authorization", f"Bearer {token}"), *said)
        self._looking: set[asyncio.Task[None]] = set()

    def metadata(self, given: MetadataT) -> grpc.aio.Metadata:
        """Return what goes with a call: what is *given*, the token, what is said, and the present trace."""
        return grpc.aio.Metadata(*(given or ()), *self._said, *telemetry.headers())

    def watch(self, call: grpc.aio.Call, line: _Line) -> None:
        """Look at how *call*, which was just made on *line*, will end."""
        address = self.route.address
        line.calls += 1
        loop = asyncio.get_running_loop()

        def ended(_: object) -> None:
            line.calls -= 1
            self.route.left(line)
            looking = loop.create_task(self._look(call, address))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

        call.add_done_callback(ended)

    async def _look(self, call: grpc.aio.Call, address: str) -> None:
        if await call.code() in _ELSEWHERE:
            self.route.failed(address, _leader(await call.trailing_metadata()))


def _leader(trailer: grpc.aio.Metadata) -> str:
    """Return the leader's address that a refusal names; nothing that is not host:port."""
    for key, value in trailer:
        if key == LEADER_KEY and isinstance(value, str):
            with suppress(ValueError):
                split_address(value)
                return value
    return ""


class _Method(Generic[ParamsT, CallT]):
    """A method of whichever scheduler is to be asked, of any of gRPC's four kinds."""

    def __init__(self, calls: _Calls, make: Callable[[grpc.aio.Channel], Callable[ParamsT, CallT]]) -> None:
        self._calls = calls
        self._make = make
        self._made: tuple[grpc.aio.Channel, Callable[ParamsT, CallT]] | None = None

    def __call__(self, *args: ParamsT.args, **options: ParamsT.kwargs) -> CallT:
        """Begin a call; what goes with it is given by name."""
        options["metadata"] = self._calls.metadata(cast("MetadataT", options.get("metadata")))
        options["wait_for_ready"] = options.get("wait_for_ready") and self._calls.route.alone
        line = self._calls.route.line()
        call = self._present(line.channel)(*args, **options)
        self._calls.watch(call, line)
        return call

    def _present(self, channel: grpc.aio.Channel) -> Callable[ParamsT, CallT]:
        """Return the method of the scheduler that is asked at present."""
        if self._made is None or self._made[0] is not channel:
            self._made = channel, self._make(channel)
        return self._made[1]


class LeaderChannel(grpc.aio.Channel):
    """A channel whose calls go where the route leads."""

    def __init__(self, route: _Route, token: str | None, said: Said = ()) -> None:
        self._route = route
        self._calls = _Calls(route, token, said)

    def ask_another(self) -> None:
        """Let the next calls go elsewhere: the scheduler that is asked at present says nothing."""
        self._route.failed(self._route.address, "")

    async def trouble(self) -> str:
        """Return what is wrong with TLS at the scheduler that is asked at present; empty for nothing."""
        return await tls_trouble(self._route.address, self._route.tls)

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    @override
    async def close(self, grace: float | None = None) -> None:
        await self._route.close(grace)

    @override
    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._route.line().channel.get_state(try_to_connect)

    @override
    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._route.line().channel.wait_for_state_change(last_observed_state)

    @override
    async def channel_ready(self) -> None:
        await self._route.line().channel.channel_ready()

    @override
    def unary_unary(
        self,
        method: str,
        request_serializer: SerializerT[RequestT] = None,
        response_deserializer: DeserializerT[ResponseT] = None,
        _registered_method: bool | None = None,
    ) -> grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT]:
        called = _Method(
            self._calls,
            lambda channel: channel.unary_unary(method, request_serializer, response_deserializer),
        )
        return cast("grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT]", called)

    @override
    def unary_stream(
        self,
        method: str,
        request_serializer: SerializerT[RequestT] = None,
        response_deserializer: DeserializerT[ResponseT] = None,
        _registered_method: bool | None = None,
    ) -> grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT]:
        called = _Method(
            self._calls,
            lambda channel: channel.unary_stream(method, request_serializer, response_deserializer),
        )
        return cast("grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT]", called)

    @override
    def stream_unary(
        self,
        method: str,
        request_serializer: SerializerT[RequestT] = None,
        response_deserializer: DeserializerT[ResponseT] = None,
        _registered_method: bool | None = None,
    ) -> grpc.aio.StreamUnaryMultiCallable[RequestT, ResponseT]:
        called = _Method(
            self._calls,
            lambda channel: channel.stream_unary(method, request_serializer, response_deserializer),
        )
        return cast("grpc.aio.StreamUnaryMultiCallable[RequestT, ResponseT]", called)

    @override
    def stream_stream(
        self,
        method: str,
        request_serializer: SerializerT[RequestT] = None,
        response_deserializer: DeserializerT[ResponseT] = None,
        _registered_method: bool | None = None,
    ) -> grpc.aio.StreamStreamMultiCallable[RequestT, ResponseT]:
        called = _Method(
            self._calls,
            lambda channel: channel.stream_stream(method, request_serializer, response_deserializer),
        )
        return cast("grpc.aio.StreamStreamMultiCallable[RequestT, ResponseT]", called)
