"""How many leases there are of each scope, on each host and on all of them."""

from dataclasses import dataclass
from typing import Final

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.limits import Scope, scopes_of

#: Stands for all hosts; no host has this name.
EVERYWHERE: Final = ""


@dataclass(slots=True, eq=False)
class Load:
    """The leases of one scope in one place."""

    running: int = 0
    ending: int = 0
    """Released leases whose end is being written."""


class Loads:
    """Counts leases. A job counts in six loads, which are looked up once for all jobs of its kind."""

    def __init__(self) -> None:
        self._loads: dict[tuple[str, Scope], Load] = {}
        self._of_kind: dict[tuple[str, Category, str], tuple[Load, ...]] = {}

    def of(self, host: str, scope: Scope) -> Load:
        """Return the load of *scope* on *host*, or EVERYWHERE; not for changing."""
        return self._loads.get((host, scope)) or Load()

    def count(self, host: str, job: LiveJob, *, running: int = 0, ending: int = 0) -> None:
        """Add to the loads that *job* counts in on *host*."""
        for load in self._of_kind.get((host, job.category, job.type)) or self._meet(host, job):
            load.running += running
            load.ending += ending

    def forget(self, host: str) -> None:
        """Drop what is kept of *host*, unless it has a load still."""
        mine = [key for key in self._loads if key[0] == host]
        if not any(self._loads[key].running or self._loads[key].ending for key in mine):
            for key in mine:
                del self._loads[key]
            for kind in [kind for kind in self._of_kind if kind[0] == host]:
                del self._of_kind[kind]

    def _meet(self, host: str, job: LiveJob) -> tuple[Load, ...]:
        scopes = scopes_of(job.category, job.type)
        places = [(place, scope) for place in (EVERYWHERE, host) for scope in scopes]
        met = tuple(self._loads.setdefault(key, Load()) for key in places)
        self._of_kind[host, job.category, job.type] = met
        return met
