"""Job types as REST has them."""

from pydantic import Field, JsonValue

from callsheet.v1.job_service_pb2 import JobType, LearnedNeeds
from callsheet_gateway.schemas.jobs import JSON_OBJECT, Category, category_of
from callsheet_gateway.schemas.shared import Camel


class LearnedView(Camel):
    """What attempts turned out to need; the figures are of the newest."""

    size_class: int | None = Field(
        description="Of inputs of 2^(n-1) up to 2^n; null for all sizes together.", examples=[None]
    )
    runs: int = Field(description="Attempts that completed, ever.", examples=[412])
    median_run_time: float = Field(description="Half of them ran no longer, in seconds.", examples=[41.5])
    p95_run_time: float = Field(description="95 % of them ran no longer, in seconds.", examples=[118.0])
    vram_required: int | None = Field(
        description="MB that would have been enough for 95 % of them, with a margin; null while too few were"
        " measured.",
        examples=[3072],
    )
    vram_runs: int = Field(description="How many that rests on.", examples=[64])


class JobTypeView(Camel):
    """A kind of work."""

    type: str = Field(examples=["scan"])
    description: str = Field(examples=["Finds new, changed and vanished files in a folder."])
    resource_category: Category
    vram_required: int = Field(description="MB that it declares.", examples=[0])
    run_limit: int = Field(description="Seconds that an attempt may run.", examples=[21600])
    resumable: bool = Field(description="Running jobs can be paused.", examples=[False])
    learns_vram: bool = Field(
        description="New jobs are charged with what is learned; else it is only shown.", examples=[False]
    )
    learned: list[LearnedView] = Field(description="All sizes together first, then each that is known.")
    params_schema: dict[str, JsonValue] = Field(
        description="JSON Schema (2020-12) of the parameters.", examples=[{"type": "object"}]
    )


class JobTypeList(Camel):
    """Every job type."""

    data: list[JobTypeView] = Field(description="By name.")


def job_type_view(one: JobType) -> JobTypeView:
    """Return a job type."""
    return JobTypeView(
        type=one.name,
        description=one.description,
        resource_category=category_of(one.category),
        vram_required=one.vram_mib,
        run_limit=one.run_limit_s,
        resumable=one.resumable,
        learns_vram=one.learns_vram,
        learned=[_learned_view(known) for known in one.learned],
        params_schema=JSON_OBJECT.validate_json(one.params_schema_json or "{}"),
    )


def _learned_view(known: LearnedNeeds) -> LearnedView:
    return LearnedView(
        size_class=known.size_class if known.HasField("size_class") else None,
        runs=known.runs,
        median_run_time=known.median_run_s,
        p95_run_time=known.p95_run_s,
        vram_required=known.vram_mib or None,
        vram_runs=known.vram_runs,
    )
