"""Where the decisions of the engine go: the tables, and the workers' streams."""

from collections.abc import Sequence
from typing import Protocol

from callsheet_scheduler.domain.effects import NewRow, SessionMessage, Taken, TurnEffect
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.store.queue import DoneJob, LogRow


class Outbox(Protocol):
    """Where messages for one session go; sending is the session's own affair."""

    def add(self, message: SessionMessage) -> None:
        """Say this to the worker soon."""
        ...


class Tables(Protocol):
    """Where batches are written. Every method raises the errors of ``store.errors``."""

    async def insert(self, rows: Sequence[NewRow], taken: Sequence[Taken] = ()) -> dict[JobId, DoneJob]:
        """Insert jobs, unless some are in history: then return these and write nothing.

        Rows of the inbox are *taken* with it. `WithdrawnError` names those that are not there; then nothing
        is written.
        """
        ...

    async def turn(self, batch: Sequence[TurnEffect], *, now: float) -> None:
        """Write one turn."""
        ...

    async def logs(self, rows: Sequence[LogRow]) -> None:
        """Append log text."""
        ...

    async def has_yielded(self, job_id: JobId, token: Token) -> bool:
        """Return whether the attempt under a token ended because the job yielded."""
        ...

    async def look_up(self, job_id: JobId) -> DoneJob | None:
        """Return a job of history."""
        ...
