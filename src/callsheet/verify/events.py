"""What a history is made of: one JSON object a line, each an event with the one who noted it and when."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION: Final = 1
"""Of the format; a history of another version is not judged."""

State = Literal["pending", "queued", "running", "paused", "completed", "failed", "cancelled"]


class Event(BaseModel):
    """What every line has."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    at: float
    """Seconds by the monotonic clock of *machine*; compared between events of one machine alone."""
    utc: float
    """Seconds since 1970 by the wall clock of *machine*, which may be wrong."""
    by: str
    """Who noted it: a client, a worker, whoever made the faults, or who read the tables."""
    machine: str = ""
    """Whose clocks these are."""


class Begin(Event):
    """The first line."""

    what: Literal["begin"] = "begin"
    version: int = VERSION
    """Of this format."""
    lease_ttl_s: float = 30.0
    """How long a worker may stay silent before its leases go to another."""
    host_limits: dict[str, int] = {}
    """Jobs at once on one host, by category; the highest that held at any time."""


class Asked(BaseModel):
    """A job as a client submits it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    """UUIDv7."""
    type: str = ""
    """The job type's name."""
    priority: int = 5
    """1 (most urgent) to 10."""
    max_retries: int = 3
    """Automatic retries allowed."""
    interactive: bool = False
    """Somebody waits for the result."""


class Told(BaseModel):
    """A job as an answer shows it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    """The job."""
    state: State
    """Where it was in its life."""


class Invoke(Event):
    """A client makes a call."""

    what: Literal["invoke"] = "invoke"
    call: str
    """Unique in the history."""
    op: Literal["submit", "cancel", "retry", "read", "pause", "resume", "prioritize", "drain", "undrain"]
    """What was asked."""
    jobs: tuple[Asked, ...] = ()
    """The jobs of a submission, or the one that the call is about."""
    scope: str = ""
    """Of pause and resume: `all`, a category or a job type; a single job is in *jobs*.
    Of drain and undrain: the worker."""


class Answer(Event):
    """A call came back. A call without an answer is one whose outcome is unknown."""

    what: Literal["answer"] = "answer"
    call: str
    """Of the invocation."""
    outcome: Literal["ok", "refused", "unknown"]
    """Done; refused, and nothing was done; or nobody knows."""
    reason: str = ""
    """Why it is not `ok`."""
    jobs: tuple[Told, ...] = ()
    """What the answer showed."""


class WorkerUp(Event):
    """A worker's process begins."""

    what: Literal["worker"] = "worker"
    worker: str
    """Its identity, which outlives the process."""
    host: str
    """The host that limits are counted for."""
    slots: int
    """Jobs at once."""


class Welcome(Event):
    """A worker was welcomed by a leader."""

    what: Literal["welcome"] = "welcome"
    worker: str
    """The worker's identity."""
    term: int
    """Of the leader."""


class Granted(Event):
    """A worker heard of a lease."""

    what: Literal["granted"] = "granted"
    worker: str
    """The worker's identity."""
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""
    attempt: int
    """Counted from 1."""


class Started(Event):
    """A worker's processor begins an attempt."""

    what: Literal["started"] = "started"
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""


class Progressed(Event):
    """A worker is about to say how far an attempt is."""

    what: Literal["progress"] = "progress"
    worker: str
    """The worker's identity."""
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""
    percent: int
    """0 to 100."""


class ResultSent(Event):
    """A worker is about to send a result."""

    what: Literal["result"] = "result"
    worker: str
    """The worker's identity."""
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""
    outcome: Literal["completed", "failed", "returned", "paused", "yielded"]
    """How the attempt ended."""
    kind: str = ""
    """Of a failure: bad_input, capacity, transient, bug, cancelled."""
    log_pieces: int = 0
    """Pieces of the attempt's log that went before."""
    follow_ups: tuple[str, ...] = ()
    """Jobs to submit with the completion."""
    outputs: tuple[str, ...] = ()
    """Paths at which files were asked for, made under this lease."""


class FateHeard(Event):
    """A worker heard what became of a result."""

    what: Literal["fate"] = "fate"
    worker: str
    """The worker's identity."""
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""
    fate: Literal["committed", "duplicate", "stale", "refused"]
    """Whether it counts, counted before, or does not count."""


class Revoked(Event):
    """A worker was told to end an attempt."""

    what: Literal["revoked"] = "revoked"
    worker: str
    """The worker's identity."""
    job: str
    """The job."""
    token: int
    """The fencing token of the lease."""
    cancelled: bool
    """Because somebody asked for the job's end; else because the lease is stale."""


class Fault(Event):
    """Somebody broke something."""

    what: Literal["fault"] = "fault"
    kind: str
    """A word for it."""
    target: str = ""
    """What it struck; for a worker its identity."""


class Healed(Event):
    """It works again."""

    what: Literal["healed"] = "healed"
    kind: str
    """Of the fault."""
    target: str = ""
    """Of the fault."""


class Tables(Event):
    """From here on come the tables, as one snapshot."""

    what: Literal["tables"] = "tables"
    at_rest: bool = False
    """Whoever recorded it waited until everything had come to its end."""
    term: int = 0
    """Of the newest leader."""


class JobRow(Event):
    """A row of ``job_live`` or ``job_done``. Instants are seconds since 1970 by the database's clock."""

    what: Literal["live", "done"]
    """In which table."""
    id: str
    """The job."""
    type: str
    """The job type's name."""
    category: str
    """The resource it occupies."""
    priority: int
    """1 (most urgent) to 10."""
    interactive: bool
    """Somebody waits for the result."""
    max_retries: int
    """Automatic retries allowed."""
    state: State
    """Where it is in its life; `queued` for every leased job."""
    token: int
    """Of its newest lease; 0 before the first."""
    attempt: int
    """Of its newest lease."""
    retry_count: int
    """Retries spent, automatic and manual."""
    lost_count: int
    """Leases lost in a row."""
    capacity_count: int
    """Attempts that met a want of capacity."""
    worker: str | None = None
    """Who holds or last held it."""
    host: str | None = None
    """The host of that lease."""
    created_at: float
    """When it was accepted."""
    run_at: float | None = None
    """Not started before."""
    granted_at: float | None = None
    """When the newest lease was granted."""
    started_at: float | None = None
    """When its attempt began."""
    finished_at: float | None = None
    """When it became final."""
    error: str | None = None
    """The reason of the last failure."""


class AttemptRow(Event):
    """A row of ``job_attempt``: an attempt that ended without finishing its job."""

    what: Literal["attempt"] = "attempt"
    job: str
    """The job."""
    number: int
    """Counted from 1."""
    token: int
    """The fencing token of the lease."""
    worker: str | None = None
    """Who ran it."""
    ended_at: float
    """When it ended."""
    outcome: str
    """failed, returned, expired, cancelled, paused or yielded."""
    error: str | None = None
    """Why."""


class LogRows(Event):
    """The log of one attempt, marks of the scheduler left out."""

    what: Literal["log"] = "log"
    job: str
    """The job."""
    attempt: int
    """Counted from 1."""
    pieces: int
    """How many there are."""
    first: int
    """The lowest sequence."""
    last: int
    """The highest sequence."""


class OutputRow(Event):
    """A derivative that the library points at, or a file that lies where it was asked for."""

    what: Literal["output"] = "output"
    job: str
    """The job that made it."""
    token: int
    """The lease that made it."""
    path: str
    """Where it lies in its root."""


class CounterRow(Event):
    """How many jobs of all history are in a final state, or have finished (state ``pending``)."""

    what: Literal["counter"] = "counter"
    state: State
    """A final state, or `pending` for all that finished."""
    type: str
    """The job type's name."""
    category: str
    """The resource."""
    jobs: int
    """How many."""
    before: bool = False
    """Read at the beginning: the rows of this history come on top."""


class End(Event):
    """The last line."""

    what: Literal["end"] = "end"
    events: int
    """Lines before this one."""


AnyEvent = Annotated[
    Begin
    | Invoke
    | Answer
    | WorkerUp
    | Welcome
    | Granted
    | Started
    | Progressed
    | ResultSent
    | FateHeard
    | Revoked
    | Fault
    | Healed
    | Tables
    | JobRow
    | AttemptRow
    | LogRows
    | OutputRow
    | CounterRow
    | End,
    Field(discriminator="what"),
]
"""One line."""
