"""The kind of every route: it checks the credential first, and ends in time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from typing_extensions import override

from callsheet.errors import CallsheetError, UnavailableError
from callsheet.within import within
from callsheet_gateway.access.auth import role_of_route
from callsheet_gateway.access.credentials import WrongCredentialError
from callsheet_gateway.access.trail import SECRET_BODIES, is_safe
from callsheet_gateway.border import ROUTE_KEY
from callsheet_gateway.live.streams import CHECK_KEY
from callsheet_gateway.problems import status_of
from callsheet_gateway.state import state_of

SAID_BYTES_MAX: Final = 8_000
"""Bytes of a body that the audit trail looks at."""


class GuardedRoute(APIRoute):
    """A route that looks at the credential before it reads anything else of a request."""

    has_deadline = True
    """Whether the whole answer has to begin within ``request_deadline_s``."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return the handler, with the check in front of it and the deadline around it.

        Raises:
            LookupError: `ROLES` has no entry for this route.
        """
        needed = role_of_route(self.methods or (), self.path)
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.scope[ROUTE_KEY] = self.path
            state = state_of(request)
            request.scope[CHECK_KEY] = lambda: state.entrance.admit(request, needed)
            status, wrong, said = 500, False, ""
            try:
                async with _in_time(state.settings.request_deadline_s):
                    await state.entrance.admit(request, needed)
                    said = await _said(request, self.path)
                async with _in_time(state.settings.request_deadline_s if self.has_deadline else None):
                    answer = await handle(request)
                status = answer.status_code
            except (CallsheetError, RequestValidationError, HTTPException) as error:
                status, wrong = status_of(error), isinstance(error, WrongCredentialError)
                raise
            finally:
                state.entrance.note(request, self.path, status, wrong=wrong, said=said)
            return answer

        return guarded


async def _said(request: Request, route: str) -> str:
    """Return what a request says that changes something, where that can be kept."""
    is_json = "json" in request.headers.get("content-type", "")
    if is_safe(request.method) or not is_json or route in SECRET_BODIES:
        return ""
    return (await request.body())[:SAID_BYTES_MAX].decode("utf-8", "replace")


@asynccontextmanager
async def _in_time(deadline_s: float | None) -> AsyncGenerator[None]:
    limit: asyncio.Timeout | None = None
    try:
        async with within(deadline_s) as limit:
            yield
    except TimeoutError as error:
        if limit is None or not limit.expired():
            raise
        raise UnavailableError(
            f"the request took longer than {deadline_s:g} s; whether it took effect is unknown, repeat it"
        ) from error
