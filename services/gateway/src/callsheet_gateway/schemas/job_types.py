"""Job types as REST has them."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from callsheet.v1.job_service_pb2 import (
    ChangeJobTypeRequest,
    FigureSource,
    JobType,
    LearnedNeeds,
    VramCharge,
)
from callsheet_gateway.schemas.jobs import JSON_OBJECT, Category, category_of
from callsheet_gateway.schemas.shared import Body, Camel, Question

VRAM_MAX: Final = 1 << 24
RUN_LIMIT_MAX: Final = 604_800

#: Who changed it, as the scheduler keeps it.
REQUESTED_BY: Final = "REST"

Source = Literal["declared", "changed", "learned"]


class JobTypeQuestion(Question):
    """Which job types to list."""

    internal: bool = Field(default=False, description="Also types whose jobs only other jobs submit.")


class InForce(Camel):
    """What a new job is charged with that asks for nothing."""

    vram_required: int = Field(description="MB.", examples=[3072])
    source: Source = Field(description="Whose figure that is.", examples=["learned"])


class LearnedView(Camel):
    """What attempts turned out to need; the figures are of the newest."""

    size_class: int | None = Field(
        description="Of inputs of 2^(n-1) up to 2^n, of media megapixels times seconds; null for all sizes.",
        examples=[None],
    )
    runs: int = Field(description="Attempts that completed, ever.", examples=[412])
    median_run_time: float = Field(description="Half of them ran no longer, in seconds.", examples=[41.5])
    p95_run_time: float = Field(description="95 % of them ran no longer, in seconds.", examples=[118.0])
    p99_run_time: float = Field(description="99 % of them ran no longer, in seconds.", examples=[160.0])
    vram_required: int | None = Field(
        description="MB that would have been enough for 95 % of them, with a margin; null while too few were"
        " measured.",
        examples=[3072],
    )
    p99_vram_required: int | None = Field(description="The same for 99 % of them.", examples=[3328])
    vram_runs: int = Field(description="How many that rests on.", examples=[64])
    in_force: InForce


class Needs(Camel):
    """What a type declares."""

    vram_required: int = Field(description="MB.", examples=[4000])
    run_limit: int = Field(description="Seconds that an attempt may run.", examples=[43200])
    apply_learned: bool = Field(description="New jobs are charged with what is learned.", examples=[True])


class Changes(Camel):
    """What was decided instead; null where the declaration holds."""

    vram_required: int | None = Field(description="MB.", examples=[None])
    run_limit: int | None = Field(description="Seconds that an attempt may run.", examples=[7200])
    apply_learned: bool | None = Field(
        description="New jobs are charged with what is learned.", examples=[None]
    )


class JobTypeView(Camel):
    """A kind of work."""

    type: str = Field(examples=["scan"])
    description: str = Field(examples=["Finds new, changed and vanished files in a folder."])
    resource_category: Category
    vram_required: int = Field(
        description="MB that a job needs, as declared or changed; a submitter may ask for more.", examples=[0]
    )
    run_limit: int = Field(description="Seconds that an attempt may run.", examples=[21600])
    apply_learned: bool = Field(
        description="New jobs are charged with what is learned; else it is only shown.", examples=[False]
    )
    in_force: InForce
    declared: Needs
    changed: Changes
    resumable: bool = Field(description="Running jobs can be paused.", examples=[False])
    internal: bool = Field(description="Only other jobs submit jobs of it.", examples=[False])
    learned: list[LearnedView] = Field(description="All sizes together first, then each that is known.")
    params_schema: dict[str, JsonValue] = Field(
        description="JSON Schema (2020-12) of the parameters.", examples=[{"type": "object"}]
    )


class JobTypeList(Camel):
    """The job types."""

    data: list[JobTypeView] = Field(description="By name.")


class JobTypeChange(Body):
    """What to change of a type. What is left out stays as it is; null goes back to what is declared."""

    model_config = ConfigDict(json_schema_extra={"example": {"runLimit": 7200}})

    vram_required: Annotated[
        int | None, Field(ge=0, le=VRAM_MAX, description="MB that a job needs; GPU types only.")
    ] = None
    run_limit: Annotated[
        int | None, Field(ge=1, le=RUN_LIMIT_MAX, description="Seconds that an attempt may run.")
    ] = None
    apply_learned: Annotated[
        bool | None, Field(description="Charge new jobs with what is learned; GPU types only.")
    ] = None

    def request(self, name: str) -> ChangeJobTypeRequest:
        """Return it as the scheduler takes it."""
        return ChangeJobTypeRequest(
            type=name,
            vram_mib=self.vram_required,
            run_limit_s=self.run_limit,
            learns_vram=self.apply_learned,
            clear_vram_mib=self._clears("vram_required"),
            clear_run_limit_s=self._clears("run_limit"),
            clear_learns_vram=self._clears("apply_learned"),
            requested_by=REQUESTED_BY,
        )

    def _clears(self, name: str) -> bool:
        return name in self.model_fields_set and getattr(self, name) is None


def job_type_view(one: JobType) -> JobTypeView:
    """Return a job type."""
    change = one.change
    changed = Changes(
        vram_required=change.vram_mib if change.HasField("vram_mib") else None,
        run_limit=change.run_limit_s if change.HasField("run_limit_s") else None,
        apply_learned=change.learns_vram if change.HasField("learns_vram") else None,
    )
    return JobTypeView(
        type=one.name,
        description=one.description,
        resource_category=category_of(one.category),
        vram_required=one.vram_mib if changed.vram_required is None else changed.vram_required,
        run_limit=one.run_limit_s if changed.run_limit is None else changed.run_limit,
        apply_learned=one.learns_vram if changed.apply_learned is None else changed.apply_learned,
        in_force=_in_force(one.charge),
        declared=Needs(vram_required=one.vram_mib, run_limit=one.run_limit_s, apply_learned=one.learns_vram),
        changed=changed,
        resumable=one.resumable,
        internal=one.internal,
        learned=[_learned_view(known) for known in one.learned],
        params_schema=JSON_OBJECT.validate_json(one.params_schema_json or "{}"),
    )


def _in_force(charge: VramCharge) -> InForce:
    sources: dict[int, Source] = {
        FigureSource.FIGURE_SOURCE_CHANGED: "changed",
        FigureSource.FIGURE_SOURCE_LEARNED: "learned",
    }
    return InForce(vram_required=charge.vram_mib, source=sources.get(charge.source, "declared"))


def _learned_view(known: LearnedNeeds) -> LearnedView:
    return LearnedView(
        size_class=known.size_class if known.HasField("size_class") else None,
        runs=known.runs,
        median_run_time=known.median_run_s,
        p95_run_time=known.p95_run_s,
        p99_run_time=known.p99_run_s,
        vram_required=known.vram_mib or None,
        p99_vram_required=known.p99_vram_mib or None,
        vram_runs=known.vram_runs,
        in_force=_in_force(known.charge),
    )
