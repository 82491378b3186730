"""What job types need by declaration, by decision and by experience, and how administrators change it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from callsheet.catalog import Category
from callsheet.errors import InvalidError, NotFoundError
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.footprint import Learned
from callsheet_scheduler.domain.job import JobId, LiveJob
from callsheet_scheduler.domain.job_type import KeptChange, KnownType, TypeChange
from callsheet_scheduler.domain.placing import sort_of
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.job_types import save_type_change
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import VRAM_MIB_MAX

#: A week, in seconds.
RUN_LIMIT_S_MAX: Final = 604_800

#: Waiting jobs that are given the figure of their type in one go.
MOVED_AT_ONCE: Final = 500


ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNeeds:
    """What to change: a value decides, *clear* goes back to what is declared, neither leaves it."""

    vram_mib: int | None = None
    run_limit_s: int | None = None
    learns_vram: bool | None = None
    clear: frozenset[str] = frozenset()
    """Names of the fields above."""

    def on(self, change: TypeChange) -> TypeChange:
        """Return what is decided after it."""
        return TypeChange(
            vram_mib=self._new("vram_mib", self.vram_mib, change.vram_mib),
            run_limit_s=self._new("run_limit_s", self.run_limit_s, change.run_limit_s),
            learns_vram=self._new("learns_vram", self.learns_vram, change.learns_vram),
        )

    def _new(self, name: str, value: ValueT | None, known: ValueT | None) -> ValueT | None:
        if name in self.clear:
            return None
        return known if value is None else value


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeView:
    """A job type as people see it."""

    declared: KnownType
    change: TypeChange
    charge_mib: int
    """What a new job is charged with that asks for nothing and whose size says nothing."""
    charge_learned: bool
    """That is learned."""
    learned: Sequence["SizeView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeView:
    """What is known of jobs of one size, or of all."""

    learned: Learned
    charge_mib: int
    charge_learned: bool
    run_s: Sequence[float]
    """How long the newest ran."""


class TypeChanges:
    """Shows job types and changes what they need."""

    def __init__(self, leadership: Leadership, types: JobTypes) -> None:
        self._leadership = leadership
        self._types = types
        self._moving: tuple[Term, KeptChange, list[JobId]] | None = None

    # ---- looking ----

    def all(self, *, internal: bool) -> list[TypeView]:
        """Return every type by name; *internal* ones only on request."""
        return [self._view(known) for known in self._types.all() if internal or not known.internal]

    def _view(self, known: KnownType) -> TypeView:
        term = self._leadership.current()
        engine, now = term.engine, term.commits.now()
        charge_mib, charge_learned = _charge(engine, known, None, now)
        sizes: list[SizeView] = []
        for one in engine.footprints.of_type(known.name):
            mib, by_learning = _charge(engine, known, one.size_class, now)
            run_s = engine.footprints.runs_of(known.name, one.size_class)
            sizes.append(SizeView(learned=one, charge_mib=mib, charge_learned=by_learning, run_s=run_s))
        return TypeView(
            declared=self._types.declared(known.name) or known,
            change=self._types.changed(known.name),
            charge_mib=charge_mib,
            charge_learned=charge_learned,
            learned=sizes,
        )

    # ---- changing ----

    async def change(self, name: str, new: NewNeeds, *, by: str) -> TypeView:
        """Change what new jobs of a type need, and in a moment those that wait; return when it is durable.

        Raises:
            NotFoundError: There is no such type.
            InvalidError: A figure is out of its range, is set and taken back at once, or says nothing of
                such a type.
        """
        known = self._types.find(name)
        if known is None:
            message = (
                f"there is no job type {name!r}; there are {', '.join(one.name for one in self._types.all())}"
            )
            raise NotFoundError(message)
        _check(known, new)
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            kept = self._decided(name, new, term.commits.now(), by or "admin")
            await save_type_change(connection, kept)
            self._types.change(kept)

        await term.write_control(keep)
        return self._view(self._types.get(name, field="type"))

    def _decided(self, name: str, new: NewNeeds, at: float, by: str) -> KeptChange:
        """Return the decision as it is to be kept; jobs that wait have the figures of those before it."""
        before = self._types.get(name, field="type")
        change = new.on(self._types.changed(name))
        after = change.on(self._types.declared(name) or before)
        moves_mib = {mib for one in self._types.kept() if one.type == name for mib in one.moves_mib}
        if (before.vram_mib, before.learns_vram) != (after.vram_mib, after.learns_vram):
            moves_mib.add(before.vram_mib)
        return KeptChange(type=name, change=change, at=at, by=by, moves_mib=frozenset(moves_mib))

    # ---- jobs that wait ----

    async def move_some(self) -> bool:
        """Give jobs that wait the changed figure of their type; return whether there are more.

        What an earlier leader did not come to is done as well.

        Raises:
            UnavailableError: This process does not lead, or no longer.
        """
        kept = next((one for one in self._types.kept() if one.moves_mib), None)
        if kept is None:
            return False
        term = self._leadership.current()
        if self._moving is None or self._moving[0] is not term or self._moving[1] != kept:
            live = term.engine.queue.jobs.values()
            self._moving = (term, kept, [job.id for job in live if job.type == kept.type])
        left = self._moving[2]
        some = left[-MOVED_AT_ONCE:]
        if not some:
            await self._moved(term, kept)
            return True
        for job_id in some:
            await term.commits.settled(job_id)
        self._move(term, kept, some)
        term.commits.flush()
        for job_id in some:
            await term.commits.settled(job_id)
        del left[-len(some) :]
        return True

    def _move(self, term: Term, kept: KeptChange, ids: Sequence[JobId]) -> None:
        known, now = self._types.get(kept.type, field="type"), term.commits.now()
        for job_id in ids:
            job = term.engine.queue.jobs.get(job_id)
            if job is not None and not job.busy and kept.moves(job, known):
                term.engine.need(job, _charge(term.engine, known, job.size_class, now, job=job)[0])

    async def _moved(self, term: Term, kept: KeptChange) -> None:
        """Note that no job is left to be moved, unless something else was decided meanwhile."""

        async def keep(connection: Own) -> None:
            if kept in self._types.kept():
                done = replace(kept, moves_mib=frozenset())
                await save_type_change(connection, done)
                self._types.change(done)

        await term.write_control(keep)


def _charge(
    engine: Engine, known: KnownType, size: int | None, now: float, *, job: LiveJob | None = None
) -> tuple[int, bool]:
    """Return what a job is charged with that asks for nothing, and whether that is learned."""
    if not known.learns_vram or engine.footprints.proposal_mib(known.name, size) is None:
        return known.vram_mib, False
    sort = (known.category, known.name, None) if job is None else sort_of(job)
    return engine.charge_mib(sort, size, known.vram_mib, now), True


def _check(known: KnownType, new: NewNeeds) -> None:
    for name, low, high in (("vram_mib", 0, VRAM_MIB_MAX), ("run_limit_s", 1, RUN_LIMIT_S_MAX)):
        value: int | None = getattr(new, name)
        if value is not None and not low <= value <= high:
            raise InvalidError(f"must be from {low} to {high}, not {value}", field=name)
    for name in sorted(new.clear):
        if getattr(new, name) is not None:
            raise InvalidError(f"is set and taken back at once; leave out clear_{name} to set it", field=name)
    if known.category is Category.CPU:
        for name in ("vram_mib", "learns_vram"):
            if getattr(new, name) is not None:
                message = f"{known.name} runs without a GPU: leave it out, or choose a GPU type"
                raise InvalidError(message, field=name)
