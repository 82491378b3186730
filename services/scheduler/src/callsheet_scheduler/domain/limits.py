"""Scopes of the queue: which are paused, and how many of their jobs may run at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NewType

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import LiveJob

Scope = NewType("Scope", str)
"""``all``, a category such as ``gpu_encode``, or the name of a job type."""

#: The scope of every job.
ALL: Final = Scope("all")

#: The scope of each category.
SCOPE_OF: Final[Mapping[Category, Scope]] = {category: Scope(category.name.lower()) for category in Category}

#: Names that no job type may bear.
RESERVED: Final = frozenset({ALL, *SCOPE_OF.values()})


def scopes_of(category: Category, job_type: str) -> tuple[Scope, Scope, Scope]:
    """Return the scopes that a job lies in, the widest first."""
    return (ALL, SCOPE_OF[category], Scope(job_type))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs of a scope may run at once; a scope that is not named has no limit."""

    host: Mapping[Scope, int] = field(default_factory=dict[Scope, int])
    """On one host, over all its workers."""
    fleet: Mapping[Scope, int] = field(default_factory=dict[Scope, int])
    """On all hosts together."""

    def with_host(self, scope: Scope, limit: int | None) -> "Limits":
        """Return these with another limit per host; None lifts it."""
        return replace(self, host=_changed(self.host, scope, limit))

    def with_fleet(self, scope: Scope, limit: int | None) -> "Limits":
        """Return these with another limit of the fleet; None lifts it."""
        return replace(self, fleet=_changed(self.fleet, scope, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why a scope gets no leases."""

    scope: Scope
    at: float
    """Seconds since 1970."""
    by: str


class Pauses:
    """The paused scopes."""

    def __init__(self) -> None:
        self.by_scope: dict[Scope, Pause] = {}

    def holding(self, category: Category, job_type: str) -> Pause | None:
        """Return the widest pause that holds such a job back."""
        if not self.by_scope:
            return None
        for scope in scopes_of(category, job_type):
            pause = self.by_scope.get(scope)
            if pause is not None:
                return pause
        return None

    def hold(self, job: LiveJob) -> Pause | None:
        """Return the widest pause that holds *job* back."""
        return self.holding(job.category, job.type)


def _changed(limits: Mapping[Scope, int], scope: Scope, limit: int | None) -> Mapping[Scope, int]:
    kept = {name: value for name, value in limits.items() if name != scope}
    return kept if limit is None else kept | {scope: limit}
