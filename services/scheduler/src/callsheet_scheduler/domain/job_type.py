"""A kind of work as it was declared, and what administrators decided of it since."""

from dataclasses import dataclass, replace

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import JobState, LiveJob


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownType:
    """One kind of work."""

    name: str
    description: str
    category: Category
    vram_mib: int
    run_limit_s: int
    params_schema: str
    """JSON Schema, 2020-12."""
    resumable: bool = False
    """Its attempts can be paused: they keep a checkpoint from which a later one goes on."""
    learns_vram: bool = False
    """A new job is charged with what jobs of its size turned out to need, once enough have run."""
    internal: bool = False
    """Its jobs are submitted by other jobs, not by people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """What was decided of a type; None where its declaration holds."""

    vram_mib: int | None = None
    run_limit_s: int | None = None
    learns_vram: bool | None = None

    def on(self, declared: KnownType) -> KnownType:
        """Return the type as it is in force."""
        return replace(
            declared,
            vram_mib=declared.vram_mib if self.vram_mib is None else self.vram_mib,
            run_limit_s=declared.run_limit_s if self.run_limit_s is None else self.run_limit_s,
            learns_vram=declared.learns_vram if self.learns_vram is None else self.learns_vram,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChange:
    """A decision as its row says."""

    type: str
    change: TypeChange
    at: float
    """Seconds since 1970."""
    by: str
    moves_mib: frozenset[int] = frozenset()
    """Jobs that waited then and have one of these figures are still to be given that of the type."""

    def moves(self, job: LiveJob, known: KnownType) -> bool:
        """Return whether *job*, of the type that is in force as *known*, has a figure that was of the type.

        It has another if its submitter asked for more, if it ran out of memory, or if it was learned.
        A figure below that of the type is an earlier one whenever *job* was submitted: nobody can ask for
        less, but jobs come while the decision is being written.
        """
        if job.state not in {JobState.PENDING, JobState.PAUSED} or job.out_of_vram_count:
            return False
        if job.vram_mib < known.vram_mib and not known.learns_vram:
            return True
        return job.created_at <= self.at and job.vram_mib in self.moves_mib
