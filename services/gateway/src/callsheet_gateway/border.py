"""What surrounds the application: limits on bodies, security headers, HEAD, and the count of requests."""

from collections.abc import Mapping
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callsheet.service.clock import Clock
from callsheet_gateway.metrics import IN_PROGRESS, METHODS, REQUEST_SECONDS, REQUESTS, UNMATCHED
from callsheet_gateway.problems import problem_response

ROUTE_KEY: Final = "callsheet.route"
"""Where the scope of a request has the path of its route, with the names of its parameters."""

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
}
"""Sent with every answer that does not set its own."""


class Border:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, clock: Clock) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        if scope["method"] == "HEAD":  # answered as GET; the server leaves the body out
            inner["method"] = "GET"
        started_at = self._clock.monotonic()
        seen = _Seen()
        try:
            with IN_PROGRESS.track_inprogress():
                await self._pass_on(inner, receive, seen.watching(send))
        finally:
            route = str(inner.get(ROUTE_KEY, UNMATCHED))
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            REQUESTS.labels(method, route, str(seen.status)).inc()
            REQUEST_SECONDS.labels(route).observe(self._clock.monotonic() - started_at)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal():
            await problem_response(400, "Content-Length: must be a number of bytes")(scope, receive, send)
        elif int(declared) > self._body_bytes_max:
            await problem_response(413, _too_large(self._body_bytes_max))(scope, receive, send)
        else:
            await self._app(scope, _limited(receive, self._body_bytes_max), send)


class _Seen:
    """What is known of an answer when it has been sent."""

    def __init__(self) -> None:
        self.status = 500

    def watching(self, send: Send) -> Send:
        """Return *send* with the status noted and the headers added."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = int(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
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
