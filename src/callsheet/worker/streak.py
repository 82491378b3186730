"""Tells when so many attempts in a row failed that the worker itself is the likely cause."""

from typing import Final

from callsheet.v1.job_pb2 import FAILURE_KIND_BUG, FAILURE_KIND_CAPACITY, FAILURE_KIND_TRANSIENT
from callsheet.v1.lease_service_pb2 import Result

#: Failures for which the worker or its host may be to blame.
_OURS: Final = frozenset({FAILURE_KIND_BUG, FAILURE_KIND_CAPACITY, FAILURE_KIND_TRANSIENT})


class Streak:
    """Counts failures since the last attempt that did what it was asked for."""

    __slots__ = ("_limit", "failures")

    def __init__(self, limit: int) -> None:
        """Begin at none; a *limit* of 0 is never reached."""
        self._limit = limit
        self.failures = 0

    def add(self, result: Result) -> bool:
        """Take in how an attempt ended; True for the one that reaches the limit.

        Bad input, cancellations and what was handed back say nothing of the worker.
        """
        if result.HasField("completed"):
            self.failures = 0
        elif result.HasField("failed") and result.failed.kind in _OURS:
            self.failures += 1
            return self.failures == self._limit
        return False
