"""The kind of every route: it checks the credential first, and ends in time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from callsheet.errors import UnavailableError
from callsheet_gateway.auth import authorise, role_of_route
from callsheet_gateway.border import ROUTE_KEY
from callsheet_gateway.state import state_of


class GuardedRoute(APIRoute):
    """A route that looks at the credential before it reads anything else of a request."""

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
            authorise(state.credentials, request.headers.get("authorization", ""), needed)
            return await _in_time(handle(request), state.settings.request_deadline_s)

        return guarded


async def _in_time(answer: Awaitable[Response], deadline_s: float) -> Response:
    limit = asyncio.timeout(deadline_s)
    try:
        async with limit:
            return await answer
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise UnavailableError(
            f"the request took longer than {deadline_s:g} s; whether it took effect is unknown, repeat it"
        ) from error
