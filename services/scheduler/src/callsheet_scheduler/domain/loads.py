"""How many leases there are of each scope, on each host and on all of them."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.limits import Scope, scopes_of

#: Stands for all hosts; no host has this name.
EVERYWHERE: Final = ""


class Kind(NamedTuple):
    """Which jobs are counted together."""

    category: Category
    type: str


@dataclass(slots=True, eq=False)
class Load:
    """The leases of one kind of job in one place."""

    running: int = 0
    ending: int = 0
    """Released leases whose end is being written."""


class Loads:
    """Counts leases by kind, on their host and everywhere; a scope's are summed up when asked for."""

    def __init__(self) -> None:
        self._of_kind: dict[tuple[str, Category, str], tuple[Load, Load]] = {}
        self._in_scope: dict[tuple[str, Scope], dict[Kind, Load]] = {}

    def running(self, place: str, scope: Scope) -> int:
        """Return how many leases of *scope* there are on a host, or EVERYWHERE."""
        loads = self._in_scope.get((place, scope))
        return sum([load.running for load in loads.values()]) if loads else 0

    def ending(self, place: str, scope: Scope) -> int:
        """Return how many were released there whose end is being written."""
        loads = self._in_scope.get((place, scope))
        return sum([load.ending for load in loads.values()]) if loads else 0

    def count(self, host: str, of: LiveJob, *, running: int = 0, ending: int = 0) -> None:
        """Add leases of jobs such as *of* on *host*, and everywhere."""
        there, everywhere = self._of_kind.get((host, of.category, of.type)) or self._meet(host, of)
        there.running += running
        there.ending += ending
        everywhere.running += running
        everywhere.ending += ending

    def forget(self, host: str) -> None:
        """Drop what is kept of *host*, unless it has a load still."""
        mine = [key for key in self._of_kind if key[0] == host]
        loads = [self._of_kind[key][0] for key in mine]
        if not any(load.running or load.ending for load in loads):
            for _, category, job_type in mine:
                del self._of_kind[host, category, job_type]
                for scope in scopes_of(category, job_type):
                    self._in_scope.pop((host, scope), None)

    def _meet(self, host: str, of: LiveJob) -> tuple[Load, Load]:
        kind = Kind(of.category, of.type)
        met = self._load(host, kind), self._load(EVERYWHERE, kind)
        self._of_kind[host, of.category, of.type] = met
        return met

    def _load(self, place: str, kind: Kind) -> Load:
        load = Load()
        for scope in scopes_of(*kind):
            load = self._in_scope.setdefault((place, scope), {}).setdefault(kind, load)
        return load
