"""What surrounds the application: limits on bodies, security headers, HEAD, and the count of requests."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callsheet.service import telemetry
from callsheet.service.clock import Clock
from callsheet.service.spans import TRACEPARENT
from callsheet_gateway.access.peers import Proxies
from callsheet_gateway.live.streams import HEAD_KEY
from callsheet_gateway.metrics import IN_PROGRESS, METHODS, REQUEST_SECONDS, REQUESTS, UNMATCHED
from callsheet_gateway.problems import problem_response

ROUTE_KEY: Final = "callsheet.route"
"""Where the scope of a request has the path of its route, with the names of its parameters."""

PIECE_TYPE: Final = "application/offset+octet-stream"
"""The type of a piece of an upload (tus)."""
UPLOADS: Final = "/api/media/upload"
"""Where pieces of uploads are sent to, which have a limit of their own."""
_PIECES: Final = frozenset({"POST", "PATCH"})

TWO_LENGTHS: Final = (
    "Content-Length: leave it out beside Transfer-Encoding; one of them says where a body ends"
)

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
}
"""Sent with every answer that does not set its own."""
TRANSPORT_SECURITY: Final = "max-age=31536000"
"""Sent beside them where the client came by https."""


class Border:
    """An ASGI application around another."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes_max: int,
        piece_bytes_max: int = 0,
        clock: Clock,
        proxies: Proxies | None = None,
    ) -> None:
        """Surround an application.

        Args:
            app: Answers what is let through.
            body_bytes_max: The longest body.
            piece_bytes_max: The longest of a piece of an upload, where that may be longer.
            clock: Measures requests.
            proxies: Whose word about a client counts.
        """
        self._app = app
        self._proxies = proxies or Proxies()
        self._body_bytes_max = body_bytes_max
        self._piece_bytes_max = max(piece_bytes_max, body_bytes_max)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        if scope["method"] == "HEAD":  # answered as GET; the server leaves the body out
            inner["method"] = "GET"
            inner[HEAD_KEY] = True
        started_at = self._clock.monotonic()
        seen = _Seen(secure=self._proxies.peer(scope).is_https)
        try:
            with IN_PROGRESS.track_inprogress(), _traced(inner, seen):
                await self._pass_on(inner, receive, seen.watching(send))
        finally:
            route = str(inner.get(ROUTE_KEY, UNMATCHED))
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            REQUESTS.labels(method, route, str(seen.status)).inc()
            REQUEST_SECONDS.labels(route).observe(self._clock.monotonic() - started_at)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "0")
        bytes_max = self._piece_bytes_max if _is_piece(scope) else self._body_bytes_max
        if "transfer-encoding" in headers and "content-length" in headers:
            close = {"Connection": "close"}  # a proxy before us may end the body elsewhere than we do
            await problem_response(400, TWO_LENGTHS, headers=close)(scope, receive, send)
        elif not declared.isdecimal():
            await problem_response(400, "Content-Length: must be a number of bytes")(scope, receive, send)
        elif int(declared) > bytes_max:
            await problem_response(413, _too_large(bytes_max))(scope, receive, send)
        else:
            await self._app(scope, _limited(receive, bytes_max), send)


@contextmanager
def _traced(scope: Scope, seen: "_Seen") -> Generator[None]:
    """Tell of a request as a span below the one that the client names, if it names one."""
    if not telemetry.is_on():
        yield
        return
    headers = {TRACEPARENT: given} if (given := Headers(scope=scope).get(TRACEPARENT)) else {}
    with telemetry.span(f"REST {scope['method']}", headers, {"http.request.method": scope["method"]}) as span:
        try:
            yield
        finally:
            span.add(
                {
                    "http.route": str(scope.get(ROUTE_KEY, UNMATCHED)),
                    "http.response.status_code": seen.status,
                }
            )


def _is_piece(scope: Scope) -> bool:
    """Say whether the body is a piece of an upload, which is never held in memory whole.

    With any other type, or a parameter of it, something else might read it.
    """
    is_there = scope["method"] in _PIECES and f"{scope['path']}/".startswith(f"{UPLOADS}/")
    return is_there and Headers(scope=scope).getlist("content-type") == [PIECE_TYPE]


class _Seen:
    """What is known of an answer when it has been sent."""

    def __init__(self, *, secure: bool) -> None:
        self.status = 500
        self._secure = secure

    def watching(self, send: Send) -> Send:
        """Return *send* with the status noted and the headers added."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = int(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if self._secure:
                    headers.setdefault("Strict-Transport-Security", TRANSPORT_SECURITY)
            await send(message)

        return noting


def _limited(receive: Receive, bytes_max: int) -> Receive:
    """Return *receive* with an end to bodies that do not say their length."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > bytes_max:
                raise HTTPException(413, _too_large(bytes_max))
        return message

    return counting


def _too_large(bytes_max: int) -> str:
    return f"the body is too large; at most {bytes_max:,} bytes are read"
