"""Building the cache as REST has it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from callsheet_gateway.schemas.shared import Body


class Rebuild(Body):
    """What to build anew; without anything, all that is lacking."""

    model_config = ConfigDict(json_schema_extra={"example": {"path": "library:instagram", "force": False}})

    force: bool = Field(default=False, description="Make everything again.")
    path: Annotated[str, Field(min_length=1, max_length=4200)] | None = Field(
        default=None,
        description="Only this folder or file: absolute, or relative to the default root, or root:path.",
    )


class RebuildStarted(BaseModel):
    """A build that was started."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "success": True,
                "message": "Cache rebuild started in background",
                "job_id": "019aa1f7-6f00-7000-8000-0000000000c1",
            }
        }
    )

    success: bool
    message: str
    job_id: str = Field(description="Of the job that builds.")
