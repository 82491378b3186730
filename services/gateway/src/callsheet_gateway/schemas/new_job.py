"""What REST takes to make jobs."""

import json
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ConfigDict, Field, JsonValue

from callsheet.errors import InvalidError
from callsheet.params import Preset
from callsheet.v1 import job_pb2
from callsheet_gateway.schemas.jobs import Category, TypeName, category_to_wire
from callsheet_gateway.schemas.shared import Body, Moment, Slug


class IfDependencyFails(StrEnum):
    """What becomes of a job when one that it depends on fails or is cancelled."""

    FAIL = "fail"
    CANCEL = "cancel"
    RUN = "run"


class NewJob(Body):
    """A job to be made."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"type": "scan", "params": {"path": "videos"}, "priority": 5}}
    )

    type: TypeName = Field(description="The name of a job type.")
    params: dict[str, JsonValue] = Field(default={}, description="What the job type's schema accepts.")
    priority: int = Field(default=5, ge=1, le=10, description="1 is most urgent.")
    resource_category: Category | None = Field(
        default=None, description="The one that the job type declares; without it, just that."
    )
    vram_required: int | None = Field(
        default=None, ge=0, le=1 << 24, description="MB; at least what the job type declares, its default."
    )
    max_retries: int | None = Field(default=None, ge=0, le=20, description="Automatic retries; 3 without it.")
    run_at: Moment | None = Field(default=None, description="Not started before this instant.")
    depends_on: Annotated[list[UUID], Field(max_length=1000)] = Field(
        default=[], description="Jobs that have to be final before it starts."
    )
    if_dependency_fails: IfDependencyFails = Field(
        default=IfDependencyFails.FAIL,
        description="What becomes of it when one of them fails or is cancelled: it fails, is cancelled, or "
        "runs all the same.",
    )
    unique_key: str = Field(
        default="",
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        description="At most one job that is not final has it: while one does, the answer is that job.",
    )
    collection: Slug | None = Field(
        default=None, description="The collection that it belongs to; made where it is new."
    )
    id: UUID | None = Field(
        default=None,
        description="A UUIDv7 made now, chosen by the caller: a repeated request is then the same job.",
    )


class Reencode(Body):
    """A video to be made ready for streaming."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"videoId": "019aa1f7-6f00-7000-8000-0000000000a1", "targetBitrate": 2000}
        },
    )

    video_id: str = Field(max_length=64, description="The item.")
    target_bitrate: int = Field(default=2000, ge=100, le=100_000, description="At most, in kbit/s.")
    preset: Preset = Field(default="medium", description="How much effort the encoder makes.")
    crf: int = Field(default=23, ge=1, le=51, description="Lower is better and larger.")
    priority: int = Field(default=5, ge=1, le=10, description="1 is most urgent.")


class Batch(Body):
    """Jobs to be accepted together: all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "jobs": [
                    {"type": "scan", "params": {"path": "videos"}},
                    {"type": "scan", "params": {"path": "photos"}, "priority": 8},
                ]
            }
        },
    )

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=1000, description="1 to 1,000 jobs.")]


def new_job_to_wire(new: NewJob) -> job_pb2.NewJob:
    """Return what is asked for.

    Raises:
        InvalidError: A parameter is no JSON value.
    """
    try:
        params = json.dumps(new.params, allow_nan=False)
    except ValueError as error:
        raise InvalidError("NaN and infinity are no JSON; leave them out", field="params") from error
    run_at = None
    if new.run_at is not None:
        run_at = Timestamp()
        run_at.FromDatetime(new.run_at)
    return job_pb2.NewJob(
        id=str(new.id) if new.id else "",
        type=new.type,
        params_json=params,
        priority=new.priority,
        category=category_to_wire(new.resource_category),
        vram_mib=new.vram_required,
        max_retries=new.max_retries,
        run_at=run_at,
        depends_on=[str(needed) for needed in new.depends_on],
        if_dependency_fails=job_pb2.IfDependencyFails.Value(
            f"IF_DEPENDENCY_FAILS_{new.if_dependency_fails.name}"
        ),
        unique_key=new.unique_key,
        collection=new.collection or "",
    )
