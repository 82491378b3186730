"""What the routes work with."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from callsheet.client import Client
from callsheet.worker.storage.library import Roots
from callsheet_gateway.access.entrance import Entrance
from callsheet_gateway.live.hub import Hub
from callsheet_gateway.live.streams import Streams
from callsheet_gateway.media.making import Making
from callsheet_gateway.media.views import Views
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.uploads.receiving import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One gateway's parts."""

    settings: GatewaySettings
    entrance: Entrance
    """Lets requests in."""
    client: Client
    """Speaks with the scheduler."""
    roots: Roots
    """The roots that this gateway reaches itself."""
    making: Making
    """What waiting requests have asked to be made."""
    views: Views
    """What was looked at."""
    hub: Hub
    """Hears of what changes."""
    streams: Streams
    """The answers that go on."""
    uploads: Uploads
    """What is sent in pieces."""


def state_of(request: Request) -> State:
    """Return the state of the application that serves *request*."""
    state: object = request.app.state.callsheet
    if not isinstance(state, State):
        raise TypeError("the application has no state")
    return state


async def _depended_on(request: Request) -> State:
    """As ``state_of``; a function that is not async would cost each request a change of threads."""
    return state_of(request)


GatewayState = Annotated[State, Depends(_depended_on)]
