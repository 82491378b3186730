"""/api/media/job-types: the kinds of work, and what their jobs turned out to need."""

from fastapi import APIRouter

from callsheet_gateway.guarding import GuardedRoute
from callsheet_gateway.schemas.job_types import JobTypeList, job_type_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/job-types", tags=["jobs"], route_class=GuardedRoute)


@router.get("")
async def list_job_types(state: GatewayState) -> JobTypeList:
    """List every job type with its parameters, its limits, and what is learned of its jobs."""
    return JobTypeList(data=[job_type_view(one) for one in await state.client.job_types()])
