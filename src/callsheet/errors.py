"""Every error that crosses a border of Callsheet, as one tree.

CallsheetError
├── InvalidError            a field is wrong; says which and what would be right
├── NotFoundError           there is no such thing
├── ConflictError           the id or key is taken by something else
├── StateError              not possible in the present state; says which
│   └── LeaseLostError      the lease is no longer the job's newest
├── OverloadedError         full; come back after ``retry_after_s``
├── UnavailableError        no scheduler leads or it cannot be reached; repeating is safe
│   └── StandbyError        this scheduler does not lead; ``leader`` does, and nothing was done
├── UnauthenticatedError    no credential, or not a good one
├── DeniedError             the credential does not allow this
└── AttemptError            a job's attempt failed; the class says what happens next
    ├── BadInputError       can never work
    ├── CapacityError       needs more memory, disk or encoder sessions
    ├── OutOfVramError      needs more memory of the GPU than it was given
    ├── TransientError      may work later
    └── AttemptCancelledError   stopped on request
"""

from typing import ClassVar


class CallsheetError(Exception):
    """The root. ``status`` is the name of the gRPC status that stands for the class."""

    status: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidError(CallsheetError):
    """A field is wrong. ``field`` is its path as the caller wrote it, such as ``jobs[3].priority``."""

    status = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(CallsheetError):
    """There is no such thing."""

    status = "NOT_FOUND"


class ConflictError(CallsheetError):
    """The id or key is taken by something else."""

    status = "ALREADY_EXISTS"


class StateError(CallsheetError):
    """Not possible in the present state."""

    status = "FAILED_PRECONDITION"


class LeaseLostError(StateError):
    """The lease is no longer the job's newest; nothing was written."""


class OverloadedError(CallsheetError):
    """Full. Repeating after ``retry_after_s`` seconds may succeed."""

    status = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(CallsheetError):
    """No scheduler leads or it cannot be reached. Whether the call took effect is unknown;
    repeating it is safe.
    """

    status = "UNAVAILABLE"


class StandbyError(UnavailableError):
    """This scheduler does not lead, and nothing was done.

    ``leader`` is the gRPC address of the one that does, host:port; empty while none is known.
    """

    def __init__(self, message: str, *, leader: str = "") -> None:
        super().__init__(message)
        self.leader = leader


class UnauthenticatedError(CallsheetError):
    """No credential, or not a good one."""

    status = "UNAUTHENTICATED"


class DeniedError(CallsheetError):
    """The credential does not allow this."""

    status = "PERMISSION_DENIED"


class AttemptError(CallsheetError):
    """A job's attempt failed. ``kind`` names the ``FailureKind`` on the wire."""

    kind: ClassVar[str] = "BUG"


class BadInputError(AttemptError):
    """The media or the parameters can never work; never retried."""

    kind = "BAD_INPUT"


class CapacityError(AttemptError):
    """Out of main memory, disk or encoder sessions; goes again without spending a retry."""

    kind = "CAPACITY"


class OutOfVramError(AttemptError):
    """The GPU memory that it was given did not suffice; goes again with more, without spending a retry."""

    kind = "OUT_OF_VRAM"


class TransientError(AttemptError):
    """May work later; retried with backoff."""

    kind = "TRANSIENT"


class AttemptCancelledError(AttemptError):
    """Stopped because somebody cancelled the job."""

    kind = "CANCELLED"
