"""Who may do what: one table for every endpoint, and the check of credentials."""

import hmac
from collections.abc import Awaitable, Callable, Iterable
from enum import IntEnum
from hashlib import sha256
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from callsheet.errors import DeniedError, UnauthenticatedError
from callsheet_gateway.problems import from_error


class Role(IntEnum):
    """From least to most; each may do what those before it may."""

    PUBLIC = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    SUPER_ADMIN = 4


#: The least role of every endpoint. A route without an entry fails the start.
ROLES: Final[dict[tuple[str, str], Role]] = {
    ("GET", "/api/media/jobs"): Role.OPERATOR,
    ("POST", "/api/media/jobs"): Role.SUBMITTER,
    ("GET", "/api/media/jobs/stats"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}/log"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/retry"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/cancel"): Role.OPERATOR,
    ("GET", "/api/media/metadata"): Role.VIEWER,
    ("GET", "/api/media/thumbnail"): Role.VIEWER,
    ("GET", "/api/media/cache/stats"): Role.VIEWER,
    ("GET", "/api/media/items"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}"): Role.VIEWER,
    ("GET", "/healthz"): Role.PUBLIC,
    ("GET", "/readyz"): Role.PUBLIC,
    ("GET", "/metrics"): Role.PUBLIC,
    ("GET", "/openapi.json"): Role.PUBLIC,
    ("GET", "/docs"): Role.PUBLIC,
    ("GET", "/docs/assets"): Role.PUBLIC,
}

#: The shortest token that is accepted as the administrator's.
TOKEN_CHARACTERS_MIN: Final = 32


class Credentials:
    """Knows the tokens, as hashes."""

    def __init__(self, admin_token: str) -> None:
        self._admin = _digest(admin_token)

    def role_of(self, authorization: str) -> Role:
        """Return the role that a request's Authorization header gives.

        Raises:
            UnauthenticatedError: It gives none.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "send the header Authorization: Bearer with a token; the first is in DATA/admin-token"
            raise UnauthenticatedError(message)
        if not hmac.compare_digest(_digest(token.strip()), self._admin):
            message = "the bearer token is not known"
            raise UnauthenticatedError(message)
        return Role.SUPER_ADMIN


def guard(app: FastAPI, credentials: Credentials) -> None:
    """Let *app* check every request against the table."""
    public = tuple(path for (_, path), role in ROLES.items() if role is Role.PUBLIC)

    async def check(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        if path in public or path.startswith("/docs/assets/"):
            return await call_next(request)
        try:
            role = credentials.role_of(request.headers.get("authorization", ""))
            needed = _needed(app.routes, request.method, path)
        except UnauthenticatedError as error:
            return from_error(error)
        if role < needed:
            return from_error(DeniedError(f"this needs the role {needed.name}"))
        return await call_next(request)

    app.middleware("http")(check)


def check_table(app: FastAPI) -> None:
    """Make sure that every route has a role.

    Raises:
        ValueError: One has none.
    """
    for route in app.routes:
        if isinstance(route, Mount):
            keys = [("GET", route.path)]
        elif isinstance(route, Route | APIRoute):
            keys = [(method, route.path) for method in route.methods or () if method != "HEAD"]
        else:
            keys = []
        for key in keys:
            if key not in ROLES:
                message = f"{key[0]} {key[1]} has no role in the table"
                raise ValueError(message)


def _needed(routes: Iterable[object], method: str, path: str) -> Role:
    """Return the role of the route that serves this request; the highest where none does."""
    for route in routes:
        if isinstance(route, Route | APIRoute) and route.path_regex.fullmatch(path):
            key = ("GET" if method == "HEAD" else method, route.path)
            if key in ROLES:
                return ROLES[key]
    return Role.VIEWER


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
