"""The attempts that a session has under way, and what of them its stream has still to tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.lease_service_pb2 import Grant, LeaseRef, Progress, WorkRequest
from callsheet.worker.stream.attempt_log import AttemptLog
from callsheet.worker.stream.commands import LeaseKey, StopReason


@dataclass(slots=True, kw_only=True)
class UnderWay:
    """One attempt."""

    lease: LeaseRef
    started_at: Timestamp
    end_by: float
    """In monotonic seconds; infinite without a run limit."""
    device: str = ""
    percent: int = 0
    stop: StopReason | None = None
    log: AttemptLog | None = None

    @property
    def stale(self) -> bool:
        """Whether its lease is another's by now: nothing more is told of it."""
        return self.stop is StopReason.STALE


class AttemptsUnderWay:
    """Each is told once on every stream that it began, and of its progress the newest."""

    __slots__ = ("_attempts", "_moved", "_newest", "_unsaid")

    def __init__(self) -> None:
        self._attempts: dict[LeaseKey, UnderWay] = {}
        self._newest: dict[str, int] = {}
        self._unsaid: dict[LeaseKey, UnderWay] = {}
        self._moved: dict[LeaseKey, UnderWay] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, key: LeaseKey) -> bool:
        return key in self._attempts

    def __iter__(self) -> Iterator[tuple[LeaseKey, UnderWay]]:
        return iter(self._attempts.items())

    @property
    def has_moved(self) -> bool:
        """Whether there is progress to tell."""
        return bool(self._moved)

    def get(self, key: LeaseKey) -> UnderWay | None:
        """Return an attempt; None where it is over or never was."""
        return self._attempts.get(key)

    def older(self, job_id: str) -> LeaseKey | None:
        """Return the newest attempt of a job, which a new grant of it makes stale."""
        token = self._newest.get(job_id)
        return None if token is None else (job_id, token)

    def leases(self) -> list[LeaseRef]:
        """Return the leases that are held."""
        return [one.lease for one in self._attempts.values() if not one.stale]

    def devices(self) -> Iterator[tuple[str, LeaseRef]]:
        """Yield the cards that attempts have a share of, each with its lease."""
        return ((one.device, one.lease) for one in self._attempts.values() if one.device)

    def begin(self, key: LeaseKey, grant: Grant, now: float, at: Timestamp) -> None:
        """Take in an attempt that begins *now*, which is the instant *at*."""
        end_by = now + (grant.run_limit_s or inf)
        attempt = UnderWay(lease=grant.lease, started_at=at, end_by=end_by, device=grant.device_uuid)
        self._newest[key[0]] = key[1]
        self._attempts[key] = self._unsaid[key] = attempt

    def end(self, key: LeaseKey) -> UnderWay:
        """Take out an attempt that is over."""
        if self._newest.get(key[0]) == key[1]:
            del self._newest[key[0]]
        self.hush(key)
        return self._attempts.pop(key)

    def hush(self, key: LeaseKey) -> None:
        """Tell nothing more of an attempt."""
        self._unsaid.pop(key, None)
        self._moved.pop(key, None)

    def progressed(self, key: LeaseKey, percent: int) -> None:
        """Note how far an attempt is; going back has no effect."""
        attempt = self._attempts.get(key)
        if attempt is not None and percent > attempt.percent and not attempt.stale:
            attempt.percent = min(percent, 100)
            self._moved[key] = attempt

    def again(self) -> None:
        """A new stream: everything is told again."""
        self._unsaid = {key: one for key, one in self._attempts.items() if not one.stale}
        self._moved = {key: one for key, one in self._unsaid.items() if one.percent}

    def add_started(self, request: WorkRequest) -> None:
        """Tell of the attempts that began."""
        for one in self._unsaid.values():
            request.started.add(lease=one.lease, started_at=one.started_at)
        self._unsaid.clear()

    def add_progress(self, request: WorkRequest) -> None:
        """Tell how far attempts are."""
        request.progress.extend(
            [Progress(lease=one.lease, percent=one.percent) for one in self._moved.values()]
        )
        self._moved.clear()
