"""The life cycle of a job as one table, and the compact record that the engine keeps of a live job."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NewType

from callsheet.catalog import Category

JobId = NewType("JobId", str)
"""A UUIDv7 in canonical lower-case text."""

WorkerId = NewType("WorkerId", str)
"""The identity of a worker."""

Token = NewType("Token", int)
"""A fencing token: ``term << 32 | counter``."""


def term_of(token: Token) -> int:
    """Return the leadership that granted the lease of *token*."""
    return token >> 32


class JobState(IntEnum):
    """Where a job is in its life; the values are those on the wire and in the tables.

    In the tables QUEUED stands for every leased job: that the worker reported its start is known to
    the leader alone.
    """

    PENDING = 1
    QUEUED = 2
    RUNNING = 3
    PAUSED = 4
    COMPLETED = 5
    FAILED = 6
    CANCELLED = 7


#: What a job has whose submitter does not say.
PRIORITY_DEFAULT: Final = 5
RETRIES_DEFAULT: Final = 3

#: Leases lost in a row before the job itself is held to be the cause.
LOST_MAX: Final = 3

#: Every transition there is.
TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.PENDING: frozenset({JobState.QUEUED, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.QUEUED: frozenset(
        {
            JobState.RUNNING,
            JobState.PENDING,
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.PAUSED,
            JobState.CANCELLED,
        },
    ),
    JobState.RUNNING: frozenset(
        {JobState.PENDING, JobState.COMPLETED, JobState.FAILED, JobState.PAUSED, JobState.CANCELLED},
    ),
    JobState.PAUSED: frozenset({JobState.PENDING, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.CANCELLED: frozenset({JobState.PENDING}),
}

#: States that only a manual retry leaves.
FINAL: Final = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

#: States in which a worker holds a lease.
LEASED: Final = frozenset({JobState.QUEUED, JobState.RUNNING})


class IfFails(IntEnum):
    """What becomes of a job when one that it needs does not complete; the values are those on the wire."""

    FAIL = 1
    CANCEL = 2
    RUN = 3


@dataclass(slots=True, kw_only=True, eq=False)
class Ties:
    """The ties of one job."""

    needs: tuple[JobId, ...] = ()
    """Jobs that have to be final before it starts."""
    children: tuple[JobId, ...] = ()
    """Jobs that it has yielded to; how they end is for itself to judge."""
    yields: int = 0
    if_fails: IfFails = IfFails.FAIL
    unique_key: str = ""
    """At most one live job has it; empty for none."""
    open: set[JobId] = field(default_factory=set[JobId])
    """Of those that it needs or yielded to, the ones that are not final."""
    broken: JobId | None = None
    """One that it needs has failed or was cancelled, and it shall not run for that."""

    def settle(self, job_id: JobId, *, completed: bool) -> None:
        """One that it needs, or yielded to, is final. What it needs came to its end before it could yield."""
        self.open.discard(job_id)
        if not (completed or self.children or self.if_fails is IfFails.RUN or self.broken):
            self.broken = job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemInHand:
    """An item that a job over many is touching."""

    item_id: str
    identity: str
    """Of its content."""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveJob:
    """What the engine knows of a job that is not final. Parameters stay in the table.

    Instants are seconds since 1970.
    """

    id: JobId
    sequence: int
    type: str
    category: Category
    priority: int
    interactive: bool
    vram_mib: int
    max_retries: int
    request_hash: int
    """Of everything that the submitter gave: tells a repeated submission from another job."""
    parent_id: JobId | None
    created_at: float
    run_at: float | None
    root: str | None = None
    """The root that its parameters name: only a worker that reaches it can run the job. Where they mark one
    to write to as well, ``read>written``."""
    size_class: int | None = None
    """How large its input is, as far as its parameters say."""
    state: JobState = JobState.PENDING
    token: Token = Token(0)
    """Of the newest lease; 0 before the first."""
    attempt: int = 0
    retry_count: int = 0
    lost_count: int = 0
    """Leases lost in a row."""
    capacity_count: int = 0
    out_of_vram_count: int = 0
    retry_after: float | None = None
    worker_id: WorkerId | None = None
    host: str | None = None
    device: str | None = None
    """The GPU of its present or last lease, ``software`` for none in a GPU job; None for a CPU job."""
    started_at: float | None = None
    cancel_requested_at: float | None = None
    pause_requested_at: float | None = None
    error: str | None = None
    progress_percent: int = 0
    in_hand: ItemInHand | None = None
    """What its present attempt said that it touches; known to the leader alone."""
    suspect: ItemInHand | None = None
    """What was in hand when its last lease was lost."""
    resumed: bool = False
    """Its present attempt goes on from a checkpoint."""
    ties: Ties | None = None
    """Most jobs have none."""
    collection: str | None = None
    """The slug of the collection that it belongs to."""
    submitted_by: str | None = None
    """Who asked for it; None for nobody in particular."""
    trace: str | None = None
    """The W3C trace context of the call that submitted it, as a ``traceparent``; None where nobody traces."""
    busy: bool = False
    """A statement about it is under way; what concerns it waits in *deferred*."""
    deferred: list[Callable[[float], None]] | None = field(default=None)

    @property
    def needs_others(self) -> bool:
        """Whether a job that it needs is not final, or has failed it."""
        return self.ties is not None and bool(self.ties.open or self.ties.broken)

    def waits_for_child(self, job_id: JobId) -> bool:
        """Whether it has yielded to a job that is not final."""
        return self.ties is not None and bool(self.ties.children) and job_id in self.ties.open

    @property
    def yields(self) -> int:
        """How often it has yielded."""
        return 0 if self.ties is None else self.ties.yields

    @property
    def winding_up(self) -> bool:
        """Whether it was cancelled while it waited for its children, and ends when they have."""
        return self.state is JobState.PENDING and self.cancel_requested_at is not None

    @property
    def ready_at(self) -> float:
        """The instant before which it must not start."""
        return max(self.run_at or 0.0, self.retry_after or 0.0)


def move(job: LiveJob, state: JobState) -> None:
    """Put *job* into *state*.

    Raises:
        ValueError: The table of transitions has no such step.
    """
    if state not in TRANSITIONS[job.state]:
        message = f"job {job.id} cannot go from {job.state.name} to {state.name}"
        raise ValueError(message)
    job.state = state
