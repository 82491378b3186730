"""/api/media/jobs/events: what changes, as it changes."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.live import sse
from callsheet_gateway.live.ring import Wanted
from callsheet_gateway.openapi import problems
from callsheet_gateway.routes.shared import LastEventId
from callsheet_gateway.schemas.jobs import JOB_EXAMPLE, Status, TypeName
from callsheet_gateway.schemas.shared import Question, Slug
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], route_class=GuardedRoute)

_EXAMPLE: Final = (
    sse.opening("5d1c4f0c9a3e7b21-41")
    + sse.event(json.dumps(JOB_EXAMPLE), name="job", event_id="5d1c4f0c9a3e7b21-42")
    + sse.event("{}", name="queues", event_id="5d1c4f0c9a3e7b21-43")
    + sse.HEARTBEAT
).decode()


class EventsQuestion(Question):
    """Which jobs to tell of. All filters must pass; one that is repeated passes by any of its values."""

    type: list[TypeName] = Field(default=[], max_length=50, description="Only these job types.")
    status: list[Status] = Field(
        default=[],
        max_length=7,
        description="Only jobs that have one of these, or had it when they were told of last.",
    )
    collection: Slug | None = Field(default=None, description="Only jobs of this collection.")


def stream_responses(example: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route of server-sent events says of its answer."""
    schema: Final = {"type": "string", "format": "event-stream"}
    return {200: {"content": {sse.MEDIA_TYPE: {"schema": schema, "example": example}}}}


@router.get("/events", response_class=Response, responses=problems(also=stream_responses(_EXAMPLE)))
async def job_events(
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    asked: Annotated[EventsQuestion, Query()],
    last_event_id: LastEventId = "",
) -> Response:
    """Tell every change of a job as a server-sent event, until the caller goes.

    `job` carries the job as lists have it, at most four times a second for each job. `workers`, `gpus` and
    `queues` say, at most once a second, that what `/api/workers`, `/api/gpus` or `/api/queues` answers is not
    what it was. `reset` says that events are missing: ask again for what is shown. `away` says that no
    scheduler can be reached; a `reset` follows when one can. A stream that is opened with Last-Event-ID goes
    on after that event, if it is among the newest 10,000 of this gateway; else it begins with a `reset`.
    """
    wanted = Wanted(
        types=frozenset(asked.type),
        statuses=frozenset(status.value for status in asked.status),
        collection=asked.collection or "",
        submitted_by="" if caller.sees_all else caller.name,
    )
    return state.streams.answer(request, state.hub.listen(last_event_id, wanted))
