"""/healthz, /readyz, /metrics: what a probe and Prometheus ask."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from pydantic import BaseModel, Field

from callsheet.errors import CallsheetError, UnavailableError
from callsheet.within import within
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.state import GatewayState, State

router = APIRouter(tags=["operation"], route_class=GuardedRoute)

READY_DEADLINE_S: Final = 2.0
"""How long the scheduler may take to answer a probe."""


class Alive(BaseModel):
    """The process answers."""

    status: Annotated[Literal["ok"], Field(examples=["ok"])] = "ok"


class Ready(BaseModel):
    """Requests can be served."""

    status: Annotated[Literal["ready"], Field(examples=["ready"])] = "ready"


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the gateway runs."""
    return Alive()


@router.get("/readyz", responses=problems(503))
async def readyz(state: GatewayState) -> Ready:
    """Say whether a scheduler that leads can be reached."""
    await check_ready(state)
    return Ready()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """Return what Prometheus collects."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def check_ready(state: State) -> None:
    """Make sure that requests can be served.

    Raises:
        UnavailableError: No scheduler that leads can be reached.
    """
    try:
        async with within(READY_DEADLINE_S):
            await state.client.fleet()
    except (CallsheetError, TimeoutError) as error:
        raise UnavailableError("no scheduler that leads can be reached") from error
