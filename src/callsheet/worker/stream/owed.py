"""Results that the scheduler has not answered yet."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.lease_service_pb2 import (
    RESULT_FATE_COMMITTED,
    RESULT_FATE_DUPLICATE,
    LeaseRef,
    Result,
    ResultAck,
    Returned,
    WorkRequest,
)
from callsheet.worker.stream.commands import LeaseKey, key_of

_STANDS: Final = frozenset({RESULT_FATE_COMMITTED, RESULT_FATE_DUPLICATE})


class ResultOutbox:
    """Keeps each result until it is answered; every new stream brings all of them again."""

    __slots__ = ("_owed", "_unsent")

    def __init__(self, results: Iterable[Result]) -> None:
        self._owed: dict[LeaseKey, Result] = {key_of(result.lease): result for result in results}
        self._unsent: deque[LeaseKey] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, key: LeaseKey) -> bool:
        return key in self._owed

    @property
    def unsent(self) -> int:
        """How many wait to go with the present stream."""
        return len(self._unsent)

    def leases(self) -> list[LeaseRef]:
        """Return the leases whose results are owed."""
        return [result.lease for result in self._owed.values()]

    def owe(self, key: LeaseKey, result: Result, *, live: bool) -> None:
        """Take the result of a lease; it goes with the present stream where that is *live*."""
        self._owed[key] = result
        if live:
            self._unsent.append(key)

    def again(self) -> None:
        """A new stream: everything goes again."""
        self._unsent = deque(self._owed)

    def add_to(self, request: WorkRequest, room_bytes: int) -> None:
        """Let results go with *request* until the room is used up."""
        going: list[Result] = []
        while self._unsent and room_bytes > 0:
            result = self._owed.get(self._unsent.popleft())
            if result is not None:
                going.append(result)
                room_bytes -= result.ByteSize()
        request.results.extend(going)

    def withdraw(self, key: LeaseKey) -> Result | None:
        """Owe a result no more, and return it."""
        return self._owed.pop(key, None)

    def settle(self, acks: Iterable[ResultAck]) -> tuple[list[Result], list[Result]]:
        """Take answers in; return the results that stand and those that do not."""
        stand: list[Result] = []
        fall: list[Result] = []
        for ack in acks:
            lease = ack.lease
            result = self._owed.pop((lease.job_id, lease.token), None)
            if result is not None:
                (stand if ack.fate in _STANDS else fall).append(result)
        return stand, fall


def returned(lease: LeaseRef, reason: str, at: Timestamp) -> Result:
    """Return the result that hands a lease back."""
    return Result(lease=lease, ended_at=at, returned=Returned(reason=reason))
