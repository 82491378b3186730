"""What the engine wants done: rows to write, and messages to send once they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import Bounds, Card, Charge, LeaseKey
from callsheet_scheduler.domain.job import JobId, JobState, LiveJob, Token
from callsheet_scheduler.domain.library import LibraryChanges
from callsheet_scheduler.domain.outcome import Rung
from callsheet_scheduler.domain.retry import Verdict


class Fate(IntEnum):
    """What became of a result; the values are those on the wire."""

    COMMITTED = 1
    DUPLICATE = 2
    STALE = 3
    REFUSED = 4


class Vram(Enum):
    """What becomes of the share of a GPU that a lease held."""

    NONE = auto()
    """It held nothing."""
    FREED = auto()
    LINGERS = auto()
    """It stays charged: nobody knows whether the processes of the lease have ended."""


class Revocation(Enum):
    """What a worker shall do with an attempt."""

    CANCEL = auto()
    PAUSE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A finished file that was asked for under a certain path."""

    job_id: JobId
    token: Token
    root: str
    staged_path: str
    path: str


@dataclass(slots=True, kw_only=True, eq=False)
class NewRow:
    """A job to insert, pending or already leased, as its record says."""

    job: LiveJob
    params: str


class Unfit(NamedTuple):
    """A row of the inbox that is no acceptable job, as the failed job that it becomes."""

    ids: tuple[JobId, JobId]
    """The job has the second where another job has the first."""
    sequence: int
    type: str
    category: Category
    params: str
    error: str
    at: float


class Taken(NamedTuple):
    """A row of the inbox, which is taken out of it."""

    number: int
    unfit: Unfit | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class InsertJobs:
    """Insert all of these or none."""

    request: int
    """Names the submission that waits for it."""
    rows: list[NewRow]
    session: dict[JobId, int] = field(default_factory=dict[JobId, int])
    """For those that are inserted leased: the session they were granted to."""
    taken: Taken | None = None
    """The row of the inbox that asks for them, which goes when they come."""


@dataclass(slots=True, kw_only=True, eq=False)
class GrantLease:
    """Write the lease that the job's record holds."""

    job: LiveJob
    session: int
    at: float
    """When it was decided; what was submitted since did not stand beside it."""
    charge: Charge | None = None
    """What it takes of a GPU."""
    params: str = ""
    """Read by the statement that writes the lease, like *checkpoint*."""
    checkpoint: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Followed:
    """An end of a lease that other jobs follow."""

    follow_ups: Sequence[NewRow] = ()
    known: Sequence[NewRow] = ()
    """Follow-ups that are in history; taken out of the others by the statement that writes them."""
    past: Mapping[JobId, JobState] | None = None
    """How the jobs ended that are found to be in history."""

    def leave_out(self, done: Mapping[JobId, tuple[int, JobState]]) -> JobId | None:
        """Take out what is in history; return an id that another job has there.

        *done* are jobs of history: the hashes of their requests, and how they ended.
        """
        found = [row for row in self.follow_ups if row.job.id in done]
        clash = next((row.job for row in found if done[row.job.id][0] != row.job.request_hash), None)
        self.past = {**(self.past or {}), **{row.job.id: done[row.job.id][1] for row in found}}
        if clash is not None:
            return clash.id
        self.follow_ups = [row for row in self.follow_ups if row.job.id not in done]
        self.known = [*self.known, *found]
        return None


class Brought(NamedTuple):
    """What a worker brings that did what it was asked for."""

    result: str = "{}"
    """A JSON object."""
    library: LibraryChanges | None = None
    follow_ups: Sequence[NewRow] = ()
    outputs: Sequence[Output] = ()
    peak_vram_mib: int = 0
    """The most GPU memory that it held, as measured; 0 if it was not."""


@dataclass(slots=True, kw_only=True, eq=False)
class FinishJob(Followed):
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
    outputs: Sequence[Output] = ()
    mark: str | None = None
    """A line for the log."""
    session: int | None = None
    """Who waits for the acknowledgement of a result."""
    fate: Fate = Fate.COMMITTED
    """What is then said of it."""
    lost_count: int = 0
    rung: Rung = Rung.NONE
    vram: Vram = Vram.NONE
    peak_vram_mib: int = 0
    """The most that the attempt held, as measured; 0 if it was not."""

    @property
    def brings(self) -> bool:
        """Whether it writes what a worker gave, which the tables may refuse."""
        return bool(self.result is not None or self.library or self.follow_ups or self.outputs)

    @property
    def run_ms(self) -> int:
        """How long the last attempt ran, in milliseconds; 0 where it never started."""
        started_at = self.job.started_at
        return 0 if started_at is None else max(0, round((self.finished_at - started_at) * 1000))


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseLease(Followed):
    """Put a leased job back to pending, or to paused where the verdict says so."""

    job: LiveJob
    token: Token
    verdict: Verdict
    outcome: str
    """One word for the attempt's row: failed, returned, yielded, expired."""
    ended_at: float
    reason: str
    checkpoint: str | None = None
    """What the next attempt goes on from; None leaves what is there."""
    children: tuple[JobId, ...] = ()
    """Where it yields: all that the job has yielded to, now and before."""
    library: LibraryChanges | None = None
    mark: str | None = None
    session: int | None = None
    vram: Vram = Vram.NONE
    peak_vram_mib: int = 0
    """As in ``FinishJob``."""

    @property
    def brings(self) -> bool:
        """Whether it writes what a worker gave, which the tables may refuse."""
        return bool(self.library or self.checkpoint or self.follow_ups)


@dataclass(slots=True, kw_only=True, eq=False)
class ChangeJob:
    """Write what somebody wants of a job that is not final."""

    job: LiveJob
    token: Token
    was: JobState
    """The durable state it must be in: PENDING, QUEUED (any lease) or PAUSED."""
    state: JobState
    priority: int
    vram_mib: int
    cancel_requested_at: float | None
    pause_requested_at: float | None


@dataclass(slots=True, kw_only=True, eq=False)
class ReviveJob:
    """Bring a failed or cancelled job back from history."""

    job: LiveJob
    was: JobState
    mark: str
    refused: bool = False
    """It was not as it was read, and stays where it is."""


@dataclass(slots=True, kw_only=True, eq=False)
class SettleOutput:
    """Forget an output that lies where it was asked for, or never will."""

    output: Output
    problem: str
    """Why it does not; empty where it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDevice:
    """Keep the bounds of a GPU's account, which may be a new one."""

    card: Card
    host: str
    bounds: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeVram:
    """Give back what a lease was charged with that lingered."""

    lease: LeaseKey


JobEffect = GrantLease | FinishJob | ReleaseLease | ChangeJob | ReviveJob
"""What is written about a job."""

#: What is written about no job.
JOBLESS: Final = (SettleOutput, KeepDevice, FreeVram)

TurnEffect = JobEffect | SettleOutput | KeepDevice | FreeVram
"""What one turn commits."""


@dataclass(slots=True, kw_only=True, eq=False)
class SendGrant:
    """Tell a worker of its lease."""

    session: int
    job: LiveJob
    token: Token
    attempt: int
    params: str
    checkpoint: str


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
    what: Revocation


@dataclass(slots=True, kw_only=True, eq=False)
class SendDrain:
    """Tell a worker that it takes no more leases, or takes them again."""

    session: int
    draining: bool
    grace_s: float | None


@dataclass(slots=True, kw_only=True, eq=False)
class SendPlace:
    """Ask a worker to put an output where it was asked for."""

    session: int
    output: Output


@dataclass(slots=True, kw_only=True, eq=False)
class LookUp:
    """Answer a result for a job that is not live: read in history whether this token finished it."""

    session: int
    job_id: JobId
    token: Token
    completed: bool
    """Whether the result says that the job is done."""
    yielded: bool = False
    """Whether it says that the job yields."""


SessionMessage = SendGrant | SendAck | SendRevoke | SendDrain | SendPlace
"""What a worker is told."""

Message = SessionMessage | LookUp
"""What is done after the commit it depends on."""
