"""Puts the application together."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from prometheus_client import Counter

from callsheet_gateway.auth import Credentials, check_table, guard
from callsheet_gateway.docs import add_docs
from callsheet_gateway.problems import add_handlers, problem_response
from callsheet_gateway.routes import health, jobs, library
from callsheet_gateway.state import State

REQUESTS = Counter("callsheet_http_requests", "REST requests", ["method", "status"])

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}


def make_app(state: State, admin_token: str) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Callsheet",
        description="A media job queue. Send `Authorization: Bearer TOKEN`; the first token lies in "
        "`DATA/admin-token`.",
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
    )
    app.state.callsheet = state
    add_handlers(app)
    app.include_router(jobs.router)
    app.include_router(library.router)
    app.include_router(health.router)
    add_docs(app)
    check_table(app)
    guard(app, Credentials(admin_token))
    _limit_and_harden(app, state.settings.body_bytes_max)
    return app


def _limit_and_harden(app: FastAPI, body_bytes_max: int) -> None:
    async def wrap(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        chunked = "transfer-encoding" in request.headers
        if chunked or not length.isdigit() or int(length) > body_bytes_max:
            response: Response = problem_response(
                413,
                f"a body must say its length, and have at most {body_bytes_max} bytes",
            )
        else:
            response = await call_next(request)
        response.headers.update(SECURITY_HEADERS)
        REQUESTS.labels(request.method, response.status_code).inc()
        return response

    app.middleware("http")(wrap)
