"""What the routes work with."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from callsheet.client import Client
from callsheet_gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The scheduler's client and the settings."""

    client: Client
    settings: GatewaySettings


def state_of(request: Request) -> State:
    """Return the state of the application that serves *request*."""
    state: object = request.app.state.callsheet
    if not isinstance(state, State):
        message = "the application has no state"
        raise TypeError(message)
    return state


GatewayState = Annotated[State, Depends(state_of)]
