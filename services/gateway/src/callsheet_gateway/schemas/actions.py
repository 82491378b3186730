"""What people do to jobs, as REST has it."""

from enum import StrEnum
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from callsheet.v1 import job_pb2
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, ActOnJobsResponse, JobAction
from callsheet_gateway.schemas.jobs import (
    ID,
    LOG_EXAMPLE,
    JobsFilter,
    Status,
    filter_to_wire,
    status_of,
)
from callsheet_gateway.schemas.shared import Body, Camel, Instant, instant_or_none

ACTIONS_EXAMPLE: Final[dict[str, JsonValue]] = {
    "action": "pause",
    "filter": {"status": ["pending"], "resourceCategory": ["gpu_encode"]},
}


class RetriedJob(Camel):
    """A job that was put back."""

    id: str = Field(examples=[ID])
    status: Status
    retry_count: int = Field(examples=[1])
    retry_after: Instant | None = Field(description="null: a manual retry runs at once.", examples=[None])
    log: str = Field(examples=[LOG_EXAMPLE + "--- RETRY ATTEMPT 1 ---\n"])


class CancelledJob(Camel):
    """A job whose end was asked for."""

    id: str = Field(examples=[ID])
    status: Status = Field(description="cancelled; or as it was, with 202, until its worker confirms.")
    log: str = Field(examples=[LOG_EXAMPLE + "--- JOB CANCELLED BY ADMIN ---\n"])
    cancel_requested_at: Instant | None


class HeldJob(Camel):
    """A job whose pause was asked for, or ended."""

    id: str = Field(examples=[ID])
    status: Status = Field(description="paused; or as it was, with 202, until its worker confirms.")
    pause_requested_at: Instant | None = Field(
        default=None, description="Only until the worker of a running job has confirmed."
    )


class Urgency(Body):
    """What can be changed of a job that is not final."""

    model_config = ConfigDict(json_schema_extra={"example": {"priority": 1}})

    priority: int = Field(ge=1, le=10, description="1 is most urgent. What runs is not interrupted by it.")


class Action(StrEnum):
    """What can be done to many jobs."""

    RETRY = "retry"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    REPRIORITISE = "reprioritise"


class Actions(Body):
    """One thing to do to many jobs: to named ones, or to those that pass a filter."""

    model_config = ConfigDict(json_schema_extra={"example": ACTIONS_EXAMPLE})

    action: Action
    ids: list[UUID] = Field(default=[], max_length=1000, description="At most 1,000; instead of filter.")
    filter: JobsFilter | None = Field(
        default=None,
        description="Chooses jobs, newest first, 1,000 in one request. {} stands for every job; without a "
        "status, those that the action is meant for.",
    )
    priority: int | None = Field(
        default=None, ge=1, le=10, description="For reprioritise, and only for it; 1 is most urgent."
    )
    cursor: Annotated[
        str, Field(max_length=500, description="The nextCursor of the answer before, to go on with a filter.")
    ] = ""

    @model_validator(mode="after")
    def _chooses_in_one_way(self) -> Self:
        if bool(self.ids) == (self.filter is not None):
            raise ValueError("give either ids or a filter; the filter {} stands for every job")
        if self.cursor and self.filter is None:
            raise ValueError("cursor goes on with a filter; give the same one again")
        if (self.action is Action.REPRIORITISE) != (self.priority is not None):
            raise ValueError("priority belongs to reprioritise, and reprioritise needs it")
        return self


class Refused(Camel):
    """A job to which it was not possible."""

    id: str = Field(examples=[ID])
    reason: str = Field(
        examples=["the job is completed already; only a job that is not final can be cancelled"]
    )


class ActionsDone(Camel):
    """What became of it."""

    done: list[str] = Field(
        description="Jobs to which it was done, or of whose workers it was asked.", examples=[[ID]]
    )
    refused: list[Refused] = Field(description="Jobs that it left as they are.")
    next_cursor: str | None = Field(
        description="To go on with the filter; null when no more jobs pass.", examples=[None]
    )


_ON_WIRE: Final = {
    Action.RETRY: JobAction.JOB_ACTION_RETRY,
    Action.CANCEL: JobAction.JOB_ACTION_CANCEL,
    Action.PAUSE: JobAction.JOB_ACTION_PAUSE,
    Action.RESUME: JobAction.JOB_ACTION_RESUME,
    Action.REPRIORITISE: JobAction.JOB_ACTION_PRIORITIZE,
}


def held_view(job: job_pb2.Job) -> HeldJob:
    """Return a job whose pause was asked for, or ended."""
    return HeldJob(
        id=job.id,
        status=status_of(job.state),
        pause_requested_at=instant_or_none(job.pause_requested_at),
    )


def actions_to_wire(asked: Actions) -> ActOnJobsRequest:
    """Return what is asked for."""
    return ActOnJobsRequest(
        action=_ON_WIRE[asked.action],
        ids=[str(job_id) for job_id in asked.ids],
        filter=None if asked.filter is None else filter_to_wire(asked.filter),
        page_token=asked.cursor,
        priority=asked.priority or 0,
    )


def actions_view(answer: ActOnJobsResponse) -> ActionsDone:
    """Return what became of it."""
    return ActionsDone(
        done=list(answer.done_ids),
        refused=[Refused(id=one.id, reason=one.reason) for one in answer.refused],
        next_cursor=answer.next_page_token or None,
    )
