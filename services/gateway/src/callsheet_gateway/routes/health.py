"""/healthz, /readyz, /metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from callsheet.errors import CallsheetError
from callsheet_gateway.problems import problem_response
from callsheet_gateway.state import GatewayState

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the gateway runs. Role: PUBLIC."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None)
async def readyz(state: GatewayState) -> Response | dict[str, str]:
    """Say whether the scheduler can be reached. Role: PUBLIC."""
    try:
        await state.client.fleet()
    except CallsheetError:
        return problem_response(503, "no scheduler can be reached", headers={"Retry-After": "2"})
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Return Prometheus metrics. Role: PUBLIC."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
