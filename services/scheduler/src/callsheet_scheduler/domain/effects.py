"""What the engine wants done: rows to write, and messages to send once they are written."""

from dataclasses import dataclass, field
from enum import IntEnum

from callsheet_scheduler.domain.job import JobId, JobState, LiveJob, Token
from callsheet_scheduler.domain.library import LibraryChanges
from callsheet_scheduler.domain.retry import Verdict


class Fate(IntEnum):
    """What became of a result; the values are those on the wire."""

    COMMITTED = 1
    DUPLICATE = 2
    STALE = 3
    REFUSED = 4


@dataclass(slots=True, kw_only=True, eq=False)
class NewRow:
    """A job to insert, pending or already leased, as its record says."""

    job: LiveJob
    params: str


@dataclass(slots=True, kw_only=True, eq=False)
class InsertJobs:
    """Insert all of these or none."""

    request: int
    """Names the submission that waits for it."""
    rows: list[NewRow]
    session: dict[JobId, int] = field(default_factory=dict[JobId, int])
    """For those that are inserted leased: the session they were granted to."""


@dataclass(slots=True, kw_only=True, eq=False)
class GrantLease:
    """Write the lease that the job's record holds."""

    job: LiveJob
    session: int
    params: str = ""
    """Read by the statement that writes the lease."""


@dataclass(slots=True, kw_only=True, eq=False)
class FinishJob:
    """Move a job to history, with everything that its result changes."""

    job: LiveJob
    token: Token
    was: JobState
    """The durable state it must be in: PENDING, QUEUED (any lease) or PAUSED."""
    state: JobState
    finished_at: float
    error: str | None = None
    result: str | None = None
    library: LibraryChanges | None = None
    follow_ups: list[NewRow] = field(default_factory=list[NewRow])
    mark: str | None = None
    """A line for the log."""
    session: int | None = None
    """Who waits for the acknowledgement of a result."""
    lost_count: int = 0

    @property
    def run_ms(self) -> int:
        """How long the last attempt ran, in milliseconds; 0 where it never started."""
        started_at = self.job.started_at
        return 0 if started_at is None else max(0, round((self.finished_at - started_at) * 1000))


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseLease:
    """Put a leased job back to pending."""

    job: LiveJob
    token: Token
    verdict: Verdict
    outcome: str
    """One word for the attempt's row: failed, returned, expired."""
    ended_at: float
    reason: str
    library: LibraryChanges | None = None
    mark: str | None = None
    session: int | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class NoteCancel:
    """Write that somebody asked for the end of a leased job."""

    job: LiveJob
    at: float


@dataclass(slots=True, kw_only=True, eq=False)
class ReviveJob:
    """Bring a failed or cancelled job back from history."""

    job: LiveJob
    was: JobState
    mark: str


TurnEffect = GrantLease | FinishJob | ReleaseLease | NoteCancel | ReviveJob
"""What one turn commits."""


@dataclass(slots=True, kw_only=True, eq=False)
class SendGrant:
    """Tell a worker of its lease."""

    session: int
    job: LiveJob
    token: Token
    attempt: int
    params: str


@dataclass(slots=True, kw_only=True, eq=False)
class SendAck:
    """Tell a worker what became of its result."""

    session: int
    job_id: JobId
    token: Token
    fate: Fate


@dataclass(slots=True, kw_only=True, eq=False)
class SendRevoke:
    """Tell a worker to end an attempt."""

    session: int
    job_id: JobId
    token: Token
    cancelled: bool


@dataclass(slots=True, kw_only=True, eq=False)
class LookUp:
    """Answer a result for a job that is not live: read in history whether this token finished it."""

    session: int
    job_id: JobId
    token: Token


Message = SendGrant | SendAck | SendRevoke | LookUp
"""What is sent after the commit it depends on."""
