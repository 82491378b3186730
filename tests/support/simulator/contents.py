"""What the statements of the scheduler do to rows, in memory.

Held to the real statements by a test that writes the same batches to both.
"""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from callsheet_scheduler.domain.device import Charge, DeviceId, LeaseKey, Need
from callsheet_scheduler.domain.effects import (
    ChangeJob,
    FinishJob,
    Followed,
    FreeVram,
    GrantLease,
    KeepDevice,
    NewRow,
    Output,
    ReleaseLease,
    ReviveJob,
    SettleOutput,
    Taken,
    TurnEffect,
    Unfit,
    Vram,
)
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Ties, Token, WorkerId
from callsheet_scheduler.domain.job_type import KeptChange
from callsheet_scheduler.domain.limits import Pause, Scope
from callsheet_scheduler.domain.schedules import Schedule
from callsheet_scheduler.store.errors import (
    DisagreementError,
    RefusedError,
    WithdrawnError,
)
from callsheet_scheduler.store.inbox import InboxRow
from callsheet_scheduler.store.ledger import lease_of
from callsheet_scheduler.store.queue import DoneJob, LogRow

#: Stands in parameters and results that the database refuses.
POISON: Final = "poison"

ValueT = TypeVar("ValueT")
EffectT = TypeVar("EffectT", bound=TurnEffect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A live job as its row is: *job* is never changed."""

    job: LiveJob
    params: str
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job of history."""

    row: Row
    state: JobState
    finished_at: float
    result: str | None
    error: str | None
    rung: int


@dataclass(slots=True, kw_only=True)
class Contents:
    """All tables."""

    live: dict[JobId, Row] = field(default_factory=dict)
    done: dict[JobId, Done] = field(default_factory=dict)
    attempts: list[tuple[JobId, int, Token, str]] = field(default_factory=list)
    """Ended without being the last: job, number, token, outcome."""
    outputs: dict[tuple[JobId, str, str], Output] = field(default_factory=dict)
    logs: dict[tuple[JobId, int, int], str] = field(default_factory=dict)
    pauses: dict[Scope, Pause] = field(default_factory=dict)
    limits: dict[Scope, tuple[int | None, int | None]] = field(default_factory=dict)
    drains: dict[WorkerId, float | None] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    devices: dict[DeviceId, KeepDevice] = field(default_factory=dict)
    allocations: dict[LeaseKey, Charge] = field(default_factory=dict)
    inbox: dict[int, InboxRow] = field(default_factory=dict)
    type_changes: dict[str, KeptChange] = field(default_factory=dict)

    def fork(self) -> "Contents":
        """Return a copy to change; rows are shared, for they never change."""
        return Contents(
            live=dict(self.live),
            done=dict(self.done),
            attempts=list(self.attempts),
            outputs=dict(self.outputs),
            logs=self.logs,
            pauses=dict(self.pauses),
            limits=dict(self.limits),
            drains=dict(self.drains),
            schedules=dict(self.schedules),
            devices=dict(self.devices),
            allocations=dict(self.allocations),
            inbox=self.inbox,
            type_changes=dict(self.type_changes),
        )

    # ---- statements ----

    def insert(self, rows: Sequence[NewRow], taken: Sequence[Taken] = ()) -> dict[JobId, DoneJob]:
        """Insert jobs, unless some are in history: then return these and write nothing."""
        if missing := {one.number for one in taken} - self.inbox.keys():
            raise WithdrawnError(missing)
        known = {row.job.id: self.done_job(row.job.id) for row in rows if row.job.id in self.done}
        if known:
            return {job_id: done for job_id, done in known.items() if done is not None}
        self._insert(rows)
        numbers = {one.number for one in taken}
        self.inbox = {number: row for number, row in self.inbox.items() if number not in numbers}
        for one in taken:
            if one.unfit is not None:
                self._fail(one.unfit)
        return {}

    def _fail(self, unfit: Unfit) -> None:
        """Put what is no acceptable job into history."""
        first, second = unfit.ids
        job = LiveJob(
            id=second if first in self.live or first in self.done else first,
            sequence=unfit.sequence,
            type=unfit.type,
            category=unfit.category,
            priority=5,
            interactive=False,
            vram_mib=0,
            max_retries=0,
            request_hash=0,
            parent_id=None,
            created_at=unfit.at,
            run_at=None,
        )
        self.done[job.id] = Done(
            row=Row(job=job, params=unfit.params),
            state=JobState.FAILED,
            finished_at=unfit.at,
            result=None,
            error=unfit.error,
            rung=0,
        )

    def done_job(self, job_id: JobId) -> DoneJob | None:
        """Return what a repeated submission or result needs of a job of history."""
        done = self.done.get(job_id)
        if done is None:
            return None
        job = done.row.job
        return DoneJob(
            request_hash=job.request_hash, token=job.token, state=done.state, created_at=job.created_at
        )

    def turn(self, batch: Sequence[TurnEffect], *, now: float) -> None:
        """Write one turn, in the order of the real statements."""
        finishes = _of(batch, FinishJob)
        if any(finish.result == POISON for finish in finishes):
            message = "invalid input syntax"
            raise RefusedError(message)
        for finish in finishes:
            self._finish(finish)
        for grant in _of(batch, GrantLease):
            self._grant(grant)
        for release in _of(batch, ReleaseLease):
            self._release(release)
        self._write_ledger(batch, now)
        for change in _of(batch, ChangeJob):
            self._change(change)
        for revival in _of(batch, ReviveJob):
            self._revive(revival)
        for finish in finishes:
            self._add_outputs(finish.outputs)
        for settled in _of(batch, SettleOutput):
            self.outputs.pop(_key(settled.output), None)
        self._follow([*finishes, *_of(batch, ReleaseLease)])

    def append(self, rows: Sequence[LogRow]) -> None:
        """Append log text."""
        self.logs = dict(self.logs)
        for row in rows:
            attempt = row.attempt or self._attempt_of(row.job_id, row.token)
            if attempt is not None:
                self.logs.setdefault((row.job_id, attempt, row.sequence), row.text)

    def _attempt_of(self, job_id: JobId, token: int) -> int | None:
        ended = [number for job, number, ended, _ in self.attempts if (job, ended) == (job_id, token)]
        rows = [row for row in (self.live.get(job_id), self._done_row(job_id)) if row is not None]
        present = [row.job.attempt for row in rows if row.job.token == token]
        return next(iter([*present, *ended]), None)

    def _done_row(self, job_id: JobId) -> Row | None:
        done = self.done.get(job_id)
        return None if done is None else done.row

    def _insert(self, rows: Sequence[NewRow]) -> None:
        for row in rows:
            if row.job.id in self.live:
                message = f"duplicate key: {row.job.id}"
                raise RefusedError(message)
            if POISON in row.params:
                message = "invalid input syntax"
                raise RefusedError(message)
            self._check_key(row.job)
            self.live[row.job.id] = Row(job=_copy(row.job), params=row.params)

    def _check_key(self, job: LiveJob) -> None:
        if (key := unique_key_of(job)) and any(unique_key_of(row.job) == key for row in self.live.values()):
            message = f"two live jobs would have the unique key {key}"
            raise DisagreementError(message)

    def _follow(self, endings: Sequence[Followed]) -> None:
        past = {job_id: (done.row.job.request_hash, done.state) for job_id, done in self.done.items()}
        for ending in endings:
            if (clash := ending.leave_out(past)) is not None:
                message = f"{clash} is another job in history"
                raise RefusedError(message)
        self._insert([row for ending in endings for row in ending.follow_ups])

    def _finish(self, finish: FinishJob) -> None:
        row = self._leased_or(finish.job, finish.token, finish.was)
        del self.live[finish.job.id]
        job = _copy(row.job, lost_count=finish.lost_count)
        self.done[job.id] = Done(
            row=replace(row, job=job),
            state=finish.state,
            finished_at=finish.finished_at,
            result=finish.result,
            error=finish.error,
            rung=int(finish.rung),
        )

    def _release(self, release: ReleaseLease) -> None:
        row = self._leased_or(release.job, release.token, JobState.QUEUED)
        verdict = release.verdict
        self.live[release.job.id] = Row(
            job=_copy(
                row.job,
                state=JobState.PAUSED if verdict.paused else JobState.PENDING,
                retry_after=verdict.retry_after,
                retry_count=verdict.retry_count,
                lost_count=verdict.lost_count,
                capacity_count=verdict.capacity_count,
                out_of_vram_count=verdict.out_of_vram_count,
                vram_mib=row.job.vram_mib if verdict.vram_mib is None else verdict.vram_mib,
                error=verdict.error,
                pause_requested_at=None,
                ties=_yielded(row.job.ties, release.children) if release.children else row.job.ties,
            ),
            params=row.params,
            checkpoint=row.checkpoint if release.checkpoint is None else release.checkpoint,
        )
        self.attempts.append((row.job.id, row.job.attempt, row.job.token, release.outcome))

    def _change(self, change: ChangeJob) -> None:
        row = self._leased_or(change.job, change.token, change.was)
        job = _copy(
            row.job,
            state=change.state,
            priority=change.priority,
            vram_mib=change.vram_mib,
            cancel_requested_at=change.cancel_requested_at,
            pause_requested_at=change.pause_requested_at,
        )
        self.live[job.id] = replace(row, job=job)

    def _revive(self, revival: ReviveJob) -> None:
        done = self.done.get(revival.job.id)
        if done is None or done.state is not revival.was or done.row.job.token != revival.job.token:
            message = f"{revival.job.id} is not as it was read"
            raise RefusedError(message)
        del self.done[revival.job.id]
        row = done.row
        self._check_key(revival.job)
        if row.job.attempt:
            word = "cancelled" if done.state is JobState.CANCELLED else "failed"
            self.attempts.append((row.job.id, row.job.attempt, row.job.token, word))
        job = _copy(
            row.job,
            state=JobState.PENDING,
            sequence=revival.job.sequence,
            retry_count=revival.job.retry_count,
            lost_count=0,
            capacity_count=0,
            out_of_vram_count=0,
            run_at=None,
            retry_after=None,
            cancel_requested_at=None,
            pause_requested_at=None,
            error=done.error,
            host=None,
            ties=revival.job.ties,
        )
        self.live[job.id] = Row(job=job, params=row.params)

    def _grant(self, grant: GrantLease) -> None:
        row = self.live.get(grant.job.id)
        if row is None or row.job.state is not JobState.PENDING or row.job.token >= grant.job.token:
            message = f"grant_jobs changed nothing for {grant.job.id}"
            raise DisagreementError(message)
        job = _copy(
            row.job,
            state=JobState.QUEUED,
            token=grant.job.token,
            attempt=grant.job.attempt,
            worker_id=grant.job.worker_id,
            host=grant.job.host,
            device=grant.job.device,
            retry_after=None,
        )
        self.live[job.id] = replace(row, job=job)
        grant.params, grant.checkpoint = row.params, row.checkpoint

    def _write_ledger(self, batch: Sequence[TurnEffect], now: float) -> None:
        endings: list[FinishJob | ReleaseLease] = [*_of(batch, FinishJob), *_of(batch, ReleaseLease)]
        for ending in endings:
            if ending.vram is Vram.LINGERS:
                lease = lease_of(ending)
                self.allocations[lease] = replace(self.allocations[lease], lingers_since=now)
        gone = [lease_of(ending) for ending in endings if ending.vram is Vram.FREED]
        for lease in [*gone, *(freed.lease for freed in _of(batch, FreeVram))]:
            if self.allocations.pop(lease, None) is None:
                message = f"{lease} was not charged"
                raise DisagreementError(message)
        for kept in _of(batch, KeepDevice):
            self.devices[kept.card.id] = kept
        for grant in _of(batch, GrantLease):
            if grant.charge is not None:
                self.allocations[grant.charge.lease] = grant.charge
        for device, kept in self.devices.items():
            if not kept.bounds.allow(self.allocated(device)):
                message = f"device_memory_is_not_overdrawn: {device}"
                raise RefusedError(message)

    def allocated(self, device: DeviceId) -> Need:
        """Return the sum of what is charged to a GPU."""
        needs = [charge.need for charge in self.allocations.values() if charge.device == device]
        return Need(sum(need.vram_mib for need in needs), sum(need.encoder_sessions for need in needs))

    def _add_outputs(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if _key(output) in self.outputs:
                message = f"duplicate key: {output.path}"
                raise RefusedError(message)
            self.outputs[_key(output)] = output

    def _leased_or(self, job: LiveJob, token: Token, was: JobState) -> Row:
        row = self.live.get(job.id)
        if row is None or row.job.token != token or _durable(row.job.state) is not was:
            found = "no row" if row is None else f"{row.job.state.name} under {row.job.token:x}"
            message = f"{job.id} should be {was.name} under {token:x}: {found}"
            raise DisagreementError(message)
        return row

    def leased(self) -> Counter[tuple[str, Scope]]:
        """Return how many leases each category has on each host, under '' on all of them."""
        counted: Counter[tuple[str, Scope]] = Counter()
        for row in self.live.values():
            if row.job.state in LEASED:
                scope = Scope(row.job.category.name.lower())
                counted[row.job.host or "", scope] += 1
                counted["", scope] += 1
        return counted


def _copy(job: LiveJob, **changes: object) -> LiveJob:
    other = copy.copy(job)
    other.busy, other.deferred = False, None
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def _yielded(ties: Ties | None, children: tuple[JobId, ...]) -> Ties:
    earlier = ties or Ties()
    return replace(earlier, children=children, yields=earlier.yields + 1)


def unique_key_of(job: LiveJob) -> str:
    """Return the unique key of a job, empty for none."""
    return "" if job.ties is None else job.ties.unique_key


def _durable(state: JobState) -> JobState:
    return JobState.QUEUED if state in LEASED else state


def _key(output: Output) -> tuple[JobId, str, str]:
    return (output.job_id, output.root, output.path)


def _of(batch: Sequence[TurnEffect], kind: type[EffectT]) -> list[EffectT]:
    return [effect for effect in batch if isinstance(effect, kind)]
