"""The whole scheduler as a state machine: events in, effects out.

Each method is one event. It changes the state at once and leaves what has to be written in
``intake`` and ``turn``, and what has to be sent in ``messages``; the caller takes these lists, writes
and sends them, and reports back by ``committed``. While a statement about a job is under way the job is
*busy*, and what concerns it waits. Instants are seconds since 1970, given by the caller.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import assert_never

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import SOFTWARE
from callsheet_scheduler.domain.effects import (
    Brought,
    ChangeJob,
    Fate,
    FinishJob,
    Followed,
    FreeVram,
    GrantLease,
    InsertJobs,
    KeepDevice,
    NewRow,
    ReleaseLease,
    ReviveJob,
    SettleOutput,
    Taken,
    TurnEffect,
)
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import LEASED, ItemInHand, JobId, JobState, LiveJob, Ties, Token, WorkerId
from callsheet_scheduler.domain.lanes import place_of
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.takeover import Takeover

_TOO_LATE = Outcome(ending=Ending.CANCELLED, reason="It was done, but somebody had cancelled it before")


class Engine(Takeover):
    """Decides everything, from memory."""

    # ---- submissions ----

    def submit(self, request: int, rows: list[NewRow], now: float, *, taken: Taken | None = None) -> None:
        """Accept jobs that are not live; those that a free slot awaits are inserted leased."""
        effect = InsertJobs(request=request, rows=rows, taken=taken)
        at_once = self.fleet.any_ready()
        for row in sorted(rows, key=lambda row: place_of(row.job)) if at_once and len(rows) > 1 else rows:
            job = row.job
            job.busy = True
            self.queue.add(job)
            worker = self._first_worker(job, now) if at_once else None
            if worker is not None and worker.session is not None:
                self.lease([job], worker)
                effect.session[job.id] = worker.session
            else:
                self.queue.arriving[job.category] += 1
        self.intake.append(effect)

    def _first_worker(self, job: LiveJob, now: float) -> Worker | None:
        """Return the worker that a new job can be inserted leased to; None where others come first.

        Only the turn, which frees GPUs before it charges them, grants what needs one.
        """
        if (
            not self.fleet.any_ready()
            or job.category is not Category.CPU
            or job.ready_at > now
            or job.needs_others
            or self.queue.arriving[job.category]
        ):
            return None
        return self.grantee(job.category, job.type, job.root, at_once=True)

    def inserted(self, effects: Iterable[InsertJobs], now: float) -> None:
        """The rows are durable."""
        for effect in effects:
            if effect.taken is not None and effect.taken.unfit is not None:
                self.note_ids(effect.taken.unfit.ids)
            for row in effect.rows:
                session = effect.session.get(row.job.id)
                if session is None:
                    self.queue.arriving[row.job.category] -= 1
                    self.settle(row.job, now)
                    self.wait_if_free(row.job, now)
                    self.note(row.job)
                else:
                    self.granted(row.job, session, (row.params, ""), now)
        self.plan(now)

    def insert_refused(
        self, effect: InsertJobs, now: float, done: Mapping[JobId, JobState] = MappingProxyType({})
    ) -> None:
        """The rows were not written, some of them because they are *done* already, in these states."""
        for row in effect.rows:
            job = row.job
            if job.id in effect.session:
                self.fleet.release(job)
                worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
                if worker is not None and worker.session == effect.session.get(job.id):
                    self.fleet.add_credit(worker, 1)
            else:
                self.queue.arriving[job.category] -= 1
            self.queue.remove(job)
            self.settle(job, now)
        for row in effect.rows:
            self.needed_ended(row.job.id, now, completed=done.get(row.job.id) is JobState.COMPLETED)
        self.plan(now)

    # ---- attempts ----

    def started(self, worker_id: WorkerId, job_id: JobId, token: Token, started_at: float) -> None:
        """A worker began an attempt."""
        if self.holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if job.state is JobState.QUEUED:
                self.queue.move([job], JobState.RUNNING)
                job.started_at = started_at
                self.note(job)

    def progress(self, worker_id: WorkerId, job_id: JobId, token: Token, percent: int) -> None:
        """A worker said how far it is."""
        if self.holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if percent > job.progress_percent:
                job.progress_percent = min(percent, 100)
                self.note(job)

    def took_in_hand(self, job_id: JobId, token: Token, item: ItemInHand) -> None:
        """An attempt is about to touch an item."""
        job = self.queue.jobs.get(job_id)
        if job is not None and job.token == token and job.state in LEASED:
            job.in_hand = item

    def attempt_of(self, worker_id: WorkerId, job_id: JobId, token: Token) -> int | None:
        """Return the number of the attempt under this lease, or None where it is not held."""
        return self.queue.jobs[job_id].attempt if self.holds(worker_id, job_id, token) else None

    def completed(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        brought: Brought,
        *,
        span: tuple[float | None, float],
    ) -> None:
        """A worker did what it was asked for.

        *worker* is its identity and session, *lease* the job and token, *span* when the attempt began (None:
        never) and ended.
        """
        again = partial(self._completed_later, worker, lease, brought, span)
        job = self.job_of_result(worker, lease, again, completed=True)
        if job is None:
            return
        if span[0] is not None:
            job.started_at = span[0]
        if job.cancel_requested_at is not None:
            self.end(job, _TOO_LATE, span[1], session=worker[1], fate=Fate.REFUSED)
            return
        job.busy = True
        self.fleet.end(job)
        vram = self.vram_after(job)
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=JobState.QUEUED,
                state=JobState.COMPLETED,
                finished_at=span[1],
                result=brought.result,
                library=brought.library,
                follow_ups=self._followed(brought.follow_ups) if brought.follow_ups else (),
                outputs=brought.outputs,
                session=worker[1],
                vram=vram,
                peak_vram_mib=brought.peak_vram_mib,
            ),
        )
        self.settle_vram(job, vram, span[1])

    def _completed_later(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        brought: Brought,
        span: tuple[float | None, float],
        _: float,
    ) -> None:
        self.completed(worker, lease, brought, span=span)

    def _followed(self, rows: Sequence[NewRow]) -> list[NewRow]:
        """Take in the jobs that follow; those that live already are left out."""
        new = [row for row in rows if row.job.id not in self.queue.jobs]
        for row in new:
            row.job.busy = True
            self.queue.add(row.job)
        return new

    def yielded(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        outcome: Outcome,
        children: list[NewRow],
        *,
        span: tuple[float | None, float],
        now: float,
    ) -> None:
        """An attempt gave way to *children*: the job goes on when all of them are final.

        The other arguments are as for ``ended``.
        """

        def again(later: float) -> None:
            self.yielded(worker, lease, outcome, children, span=span, now=later)

        job = self.job_of_result(worker, lease, again, completed=False, yielded=True)
        if job is None:
            return
        job.started_at = span[0] if span[0] is not None else job.started_at
        if job.cancel_requested_at is not None:
            self.end(job, _TOO_LATE, now, session=worker[1], fate=Fate.REFUSED)
            return
        job.busy = True
        self.fleet.end(job)
        vram = self.vram_after(job)
        self.conclude(job, outcome, now, session=worker[1], vram=vram)
        effect = self.turn[-1]
        if isinstance(effect, ReleaseLease):
            earlier = () if job.ties is None else job.ties.children
            effect.children = (*dict.fromkeys((*earlier, *(row.job.id for row in children))),)
            effect.follow_ups = self._followed(children)
        self.settle_vram(job, vram, now)

    def ended(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        outcome: Outcome,
        *,
        span: tuple[float | None, float],
        now: float,
    ) -> None:
        """An attempt failed, was paused, or was handed back. Arguments as for ``completed``."""

        def again(later: float) -> None:
            self.ended(worker, lease, outcome, span=span, now=later)

        job = self.job_of_result(worker, lease, again, completed=False)
        if job is not None:
            job.started_at = span[0] if span[0] is not None else job.started_at
            self.end(job, outcome, now, session=worker[1])

    def finish_refused(self, effect: FinishJob | ReleaseLease, reason: str, now: float) -> TurnEffect:
        """What a result wanted written is not acceptable: the attempt counts as failed.

        Returns:
            What has to be written instead, before anything that was decided later.
        """
        brought = [*effect.follow_ups, *effect.known]
        for row in brought:
            self.queue.remove(row.job)
        if effect.job.ties is not None:
            self.queue.knots.tie(effect.job.id, effect.job.ties)  # a follow-up may have taken its unique key
        for row in brought:
            self._was_past(effect, row.job.id, now)
        outcome = Outcome(
            ending=Ending.BAD_INPUT,
            reason=f"The result was refused: {reason}",
            peak_vram_mib=effect.peak_vram_mib,
        )
        self.conclude(effect.job, outcome, now, session=effect.session, fate=Fate.REFUSED, vram=effect.vram)
        return self.turn.pop()

    # ---- what became of the writing ----

    def committed(self, effect: TurnEffect, now: float) -> None:
        """*effect* is durable. Call ``plan`` after the last of a turn."""
        match effect:
            case GrantLease(job=job):
                self.granted(job, effect.session, (effect.params, effect.checkpoint), now)
            case FinishJob(job=job):
                self._finished(effect, now)
            case ReleaseLease(job=job):
                self._released(effect, now)
            case ChangeJob(job=job):
                self.changed_job(effect, now)
            case ReviveJob(job=job):
                self.settle(job, now)
                self.wait_if_free(job, now)
            case SettleOutput():
                self.outputs.remove(effect.output)
                return
            case KeepDevice() | FreeVram():
                return
            case _:
                assert_never(effect)
        if self.watched:
            self.note(job)

    def _finished(self, effect: FinishJob, now: float) -> None:
        job = effect.job
        if effect.was in LEASED:
            self.fleet.ended(job)
        completed = effect.state is JobState.COMPLETED
        if completed and job.started_at is not None and not job.resumed and job.device != SOFTWARE:
            self.footprints.completed(job, effect.run_ms / 1000, effect.peak_vram_mib)
        self.queue.end(job, effect.state)
        if effect.session is not None:
            self.acknowledge(effect.session, job.id, effect.token, effect.fate)
        if effect.outputs:
            for output in effect.outputs:
                self.outputs.add(output)
            self.offer_outputs(job.worker_id)
        self.settle(job, now)
        self.needed_ended(job.id, now, completed=completed)
        if effect.known or effect.follow_ups:
            self._follow(effect, now)

    def _follow(self, effect: Followed, now: float) -> None:
        """What follows an end is durable."""
        for row in effect.known:
            self.queue.remove(row.job)
            self._was_past(effect, row.job.id, now)
        for row in effect.follow_ups:
            self.settle(row.job, now)
            self.wait_if_free(row.job, now)
            self.note(row.job)

    def _was_past(self, effect: Followed, job_id: JobId, now: float) -> None:
        """A job that seemed to be live is not, but perhaps was: tell those who took to waiting for it."""
        completed = effect.past is not None and effect.past.get(job_id) is JobState.COMPLETED
        self.needed_ended(job_id, now, completed=completed)

    def _released(self, effect: ReleaseLease, now: float) -> None:
        job, verdict = effect.job, effect.verdict
        self.fleet.ended(job)
        self.queue.move([job], JobState.PAUSED if verdict.paused else JobState.PENDING)
        job.pause_requested_at = None
        job.retry_after = verdict.retry_after
        job.retry_count = verdict.retry_count
        job.lost_count = verdict.lost_count
        job.capacity_count = verdict.capacity_count
        if verdict.vram_mib is not None:
            self.footprints.ran_out(job, effect.peak_vram_mib)
            job.vram_mib, job.out_of_vram_count = verdict.vram_mib, verdict.out_of_vram_count
        job.error = verdict.error
        job.progress_percent = 0
        if effect.session is not None:
            self.acknowledge(effect.session, job.id, effect.token, Fate.COMMITTED)
        if effect.children:
            self._await_children(effect)
        self._follow(effect, now)
        self.settle(job, now)
        self.wait_if_free(job, now)

    def _await_children(self, effect: ReleaseLease) -> None:
        known = {row.job.id for row in effect.known}
        earlier = effect.job.ties or Ties()
        left = {child for child in effect.children if child in self.queue.jobs} - known
        effect.job.ties = replace(earlier, children=effect.children, yields=earlier.yields + 1, open=left)
        self.queue.knots.tie(effect.job.id, effect.job.ties)
        if effect.job.state is JobState.PAUSED:
            self.queue.hold_back(effect.job)
