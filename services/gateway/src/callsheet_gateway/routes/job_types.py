"""/api/media/job-types: the kinds of work, what their jobs need, and what is decided of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.job_types import (
    JobTypeChange,
    JobTypeList,
    JobTypeQuestion,
    JobTypeView,
    job_type_view,
)
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/job-types", tags=["jobs"], route_class=GuardedRoute)


@router.get("", responses=problems(400))
async def list_job_types(state: GatewayState, question: Annotated[JobTypeQuestion, Query()]) -> JobTypeList:
    """List the job types with their parameters, what they declare, what is learned, and what is in force."""
    types = await state.client.job_types(internal=question.internal)
    return JobTypeList(data=[job_type_view(one) for one in types])


@router.patch("/{job_type}", responses=problems(400, 404, 413, 415))
async def change_job_type(state: GatewayState, job_type: str, change: JobTypeChange) -> JobTypeView:
    """Change what jobs of a type need. New jobs follow, and in a moment those that wait and have the figure
    of the type; what runs keeps what it has.
    """
    return job_type_view(await state.client.change_job_type(change.request(job_type)))
