"""What a session tells the runtime to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from callsheet.v1.lease_service_pb2 import Grant, LeaseRef, Output, Result

LeaseKey: TypeAlias = tuple[str, int]
"""Job id and fencing token: a lease as a value that can be compared."""


def key_of(lease: LeaseRef) -> LeaseKey:
    """Return the key of *lease*."""
    return lease.job_id, lease.token


class StopReason(Enum):
    """Why an attempt has to end before it is done."""

    PAUSED = auto()
    """At its next checkpoint; it may be done before it comes to one."""
    HANDED_ON = auto()
    """As paused, but the job goes on elsewhere at once."""
    CANCELLED = auto()
    STALE = auto()
    SILENCE = auto()
    RUN_LIMIT = auto()
    DRAIN = auto()

    def outweighs(self, earlier: "StopReason | None") -> bool:
        """Return whether this reason counts although *earlier* was given before."""
        return earlier is None or _weight(self) > _weight(earlier)


def _weight(reason: StopReason) -> int:
    """Two of them ask, the others end; a stale lease forbids even the report."""
    return {StopReason.PAUSED: 0, StopReason.HANDED_ON: 0, StopReason.STALE: 2}.get(reason, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempts:
    """Begin these attempts now."""

    grants: Sequence[Grant]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """End this attempt; said once for each, and again where a reason outweighs the one before."""

    key: LeaseKey
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResults:
    """These are settled: remove them from the spool, and where asked what the attempts published."""

    results: Sequence[Result]
    remove_outputs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOutputs:
    """Put these where they were asked for, and report each."""

    outputs: Sequence[Output]


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The stream is of no use: close it, then report it lost."""

    reason: str
    unheard: bool = True
    """The scheduler does not answer; another may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Nothing is left to do, or the time for it is over: end."""

    undelivered: int
    """Results that the scheduler has not acknowledged."""


Command: TypeAlias = StartAttempts | StopAttempt | ForgetResults | PlaceOutputs | HangUp | Leave
