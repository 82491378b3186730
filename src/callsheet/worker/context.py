"""A job as its processor sees it: where to read, where to write, how to report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from callsheet.v1.library_service_pb2 import Item, ItemFacts
from callsheet.worker.library import Roots
from callsheet.worker.processes import ChildPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one attempt of one job."""

    job_id: str
    token: int
    """The fencing token."""
    attempt: int
    """Counted from 1."""

    @property
    def file_tag(self) -> str:
        """The part of a file name that is this lease's alone: hexadecimal digits of the token."""
        return f"{self.token:016x}"


class Reporter(Protocol):
    """Takes what an attempt says while it runs; the worker's runtime implements it."""

    def log(self, text: str) -> None:
        """Add lines to the job's log; each is stamped with the instant."""
        ...

    def progress(self, percent: int) -> None:
        """Say how far the attempt is, 0 to 100; going back has no effect."""
        ...


class LibraryAccess(Protocol):
    """The library as a job may use it; the worker's runtime implements it over LibraryService."""

    async def items(self, ids: Sequence[str]) -> list[Item]:
        """Return those of the items that exist, in no particular order."""
        ...

    async def items_below(self, root: str, folder: str) -> list[Item]:
        """Return all items in *folder* of *root* and below; an empty folder means the whole root."""
        ...

    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        """Write items under the job's lease and return their ids in order.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing was written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """Everything that a processor may use for one attempt."""

    lease: Lease
    report: Reporter
    library: LibraryAccess
    roots: Roots
    """The named roots that this worker reaches."""
    children: ChildPool
    """Sandboxed child processes; the only place where media is decoded."""
