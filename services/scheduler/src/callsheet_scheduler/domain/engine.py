"""The whole scheduler as a state machine: events in, effects out.

Each method is one event. It changes the state at once and leaves what has to be written in
``intake`` and ``turn``, and what has to be sent in ``messages``; the caller takes these lists, writes
and sends them, and reports back by ``committed``. While a statement about a job is under way the job is
*busy*, and what concerns it waits. Instants are seconds since 1970, given by the caller.
"""

from collections.abc import Iterable
from typing import assert_never

from callsheet_scheduler.domain.desk import Desk, cancel_mark
from callsheet_scheduler.domain.effects import (
    Fate,
    FinishJob,
    GrantLease,
    InsertJobs,
    NewRow,
    NoteCancel,
    ReleaseLease,
    ReviveJob,
    TurnEffect,
)
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.library import LibraryChanges
from callsheet_scheduler.domain.retry import Ending


class Engine(Desk):
    """Decides everything, from memory."""

    # ---- submissions ----

    def submit(self, request: int, rows: list[NewRow], now: float) -> None:
        """Accept jobs that are not live; those that a free slot awaits are inserted leased."""
        effect = InsertJobs(request=request, rows=rows)
        for row in rows:
            job = row.job
            job.busy = True
            self.queue.add(job)
            if job.ready_at <= now and self.fleet.any_ready():
                worker = self.fleet.worker_for(job.category, job.type)
                if worker is not None and worker.session is not None:
                    self.lease(job, worker)
                    effect.session[job.id] = worker.session
        self.intake.append(effect)

    def inserted(self, effect: InsertJobs, now: float) -> None:
        """The rows are durable."""
        for row in effect.rows:
            session = effect.session.get(row.job.id)
            if session is None:
                self.settle(row.job, now)
                if row.job.state is JobState.PENDING and not row.job.busy:
                    self.queue.wait(row.job, now)
                self.note(row.job)
            else:
                self.granted(row.job, session, row.params, now)
        self.plan(now)

    def insert_refused(self, effect: InsertJobs, now: float) -> None:
        """The rows were not written."""
        for row in effect.rows:
            job = row.job
            if job.state in LEASED:
                self.fleet.release(job)
                worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
                if worker is not None and worker.session == effect.session.get(job.id):
                    self.fleet.add_credit(worker, 1)
            self.queue.remove(job)
        self.plan(now)

    # ---- workers ----

    def hello(
        self,
        capability: Capability,
        session: int,
        credit: int,
        held: Iterable[tuple[JobId, Token]],
        now: float,
    ) -> list[tuple[JobId, Token]]:
        """A worker opened a stream. Return the leases it named that are no longer its own.

        Leases it was given but does not name are put back: lost if it had started them, returned if
        it never did.
        """
        worker = self.fleet.connect(capability, session, credit, now)
        named = dict(held)
        stale = [
            (job_id, token)
            for job_id, token in named.items()
            if job_id in self.queue.jobs and not self.holds(worker.capability.id, job_id, token)
        ]
        for job_id in sorted(worker.leases):
            job = self.queue.jobs[job_id]
            if job.busy:
                continue
            if named.get(job_id) != job.token:
                ending = Ending.LOST if job.state is JobState.RUNNING else Ending.RETURNED
                self.end(job, ending, "The worker came back without this job", now)
            elif job.cancel_requested_at is not None:
                self.revoke(session, job)
        self.plan(now)
        return stale

    def session_closed(self, worker_id: WorkerId, session: int, now: float) -> None:
        """A stream ended. Its worker may come back."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None and worker.session == session:
            worker.last_seen_at = now
            self.fleet.disconnect(worker)

    def goodbye(self, worker_id: WorkerId, session: int, now: float) -> None:
        """A worker left for good."""
        worker = self.fleet.workers.get(worker_id)
        if worker is None or worker.session != session:
            return
        for job_id in sorted(worker.leases):
            job = self.queue.jobs[job_id]
            if not job.busy:
                self.end(job, Ending.RETURNED, "The worker left", now)
        self.fleet.disconnect(worker)
        self.plan(now)

    def heard(self, worker_id: WorkerId, *, load: float, now: float) -> None:
        """A heartbeat."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None:
            worker.last_seen_at = now
            worker.load = load
            self.fleet.update_ready(worker)

    def credit(self, worker_id: WorkerId, credit: int, now: float) -> None:
        """A worker can take more leases."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None and worker.session is not None:
            worker.last_seen_at = now
            self.fleet.add_credit(worker, credit)

    def drain(self, worker_id: WorkerId) -> None:
        """A worker takes no more leases."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None:
            self.fleet.void_credit(worker)

    def tick(self, now: float) -> None:
        """Time passed: leases of silent workers end, jobs whose instant came may start."""
        for worker in self.fleet.silent(now, self.rules.lease_ttl_s):
            self.fleet.suspend(worker)
            for job_id in sorted(worker.leases):
                job = self.queue.jobs[job_id]
                if not job.busy:
                    reason = f"The worker {worker.capability.id} gave no sign of life"
                    self.end(job, Ending.LOST, reason, now)
            self.fleet.forget_if_gone(worker)
        self.plan(now)

    # ---- attempts ----

    def started(self, worker_id: WorkerId, job_id: JobId, token: Token, started_at: float) -> None:
        """A worker began an attempt."""
        if self.holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if job.state is JobState.QUEUED:
                self.queue.move(job, JobState.RUNNING)
                job.started_at = started_at
                self.note(job)

    def progress(self, worker_id: WorkerId, job_id: JobId, token: Token, percent: int) -> None:
        """A worker said how far it is."""
        if self.holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if percent > job.progress_percent:
                job.progress_percent = min(percent, 100)
                self.note(job)

    def attempt_of(self, worker_id: WorkerId, job_id: JobId, token: Token) -> int | None:
        """Return the number of the attempt under this lease, or None where it is not held."""
        return self.queue.jobs[job_id].attempt if self.holds(worker_id, job_id, token) else None

    def completed(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        *,
        result: str,
        library: LibraryChanges | None,
        follow_ups: list[NewRow],
        span: tuple[float | None, float],
    ) -> None:
        """A worker did what it was asked for.

        *worker* is its identity and session, *lease* the job and token, *span* when the attempt began (None:
        never) and ended.
        """

        def again(_: float) -> None:
            self.completed(
                worker,
                lease,
                result=result,
                library=library,
                follow_ups=follow_ups,
                span=span,
            )

        job = self.job_of_result(worker, lease, again)
        if job is None:
            return
        job.started_at = span[0] if span[0] is not None else job.started_at
        job.busy = True
        self.fleet.release(job)
        for row in follow_ups:
            row.job.busy = True
            self.queue.add(row.job)
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=JobState.QUEUED,
                state=JobState.COMPLETED,
                finished_at=span[1],
                result=result,
                library=library,
                follow_ups=follow_ups,
                session=worker[1],
            ),
        )

    def ended(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        *,
        ending: Ending,
        reason: str,
        library: LibraryChanges | None,
        span: tuple[float | None, float],
        now: float,
    ) -> None:
        """An attempt failed or was handed back. Arguments as for ``completed``."""

        def again(later: float) -> None:
            self.ended(
                worker,
                lease,
                ending=ending,
                reason=reason,
                library=library,
                span=span,
                now=later,
            )

        job = self.job_of_result(worker, lease, again)
        if job is not None:
            job.started_at = span[0] if span[0] is not None else job.started_at
            self.end(job, ending, reason, now, library=library, session=worker[1])

    def finish_refused(self, effect: FinishJob | ReleaseLease, reason: str, now: float) -> None:
        """What a result wanted written is not acceptable: the attempt counts as failed."""
        for row in effect.follow_ups if isinstance(effect, FinishJob) else []:
            self.queue.remove(row.job)
        message = f"The result was refused: {reason}"
        self.conclude(effect.job, Ending.BAD_INPUT, message, now, library=None, session=None)
        if effect.session is not None:
            self.acknowledge(effect.session, effect.job.id, effect.token, Fate.REFUSED)

    # ---- people ----

    def cancel(self, job: LiveJob, *, by: str, now: float) -> None:
        """Somebody wants *job*, which is not busy, to end."""
        if job.state in LEASED:
            if job.cancel_requested_at is None:
                job.cancel_requested_at = now
                job.busy = True
                self.turn.append(NoteCancel(job=job, at=now))
            return
        self.queue.lanes[job.category].discard(job)
        job.busy = True
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=job.state,
                state=JobState.CANCELLED,
                finished_at=now,
                mark=cancel_mark(by),
            ),
        )

    def revive(self, job: LiveJob, was: JobState, now: float) -> None:
        """Somebody retries a job of history: *job* is its record, pending."""
        job.busy = True
        job.created_at = min(job.created_at, now)
        self.queue.add(job)
        mark = f"--- RETRY ATTEMPT {job.retry_count} ---"
        self.turn.append(ReviveJob(job=job, was=was, mark=mark))

    # ---- what became of the writing ----

    def committed(self, effect: TurnEffect, now: float) -> None:
        """*effect* is durable. Call ``plan`` after the last of a turn."""
        job = effect.job
        match effect:
            case GrantLease():
                self.granted(job, effect.session, effect.params, now)
            case FinishJob():
                self._finished(effect, now)
            case ReleaseLease():
                self._released(effect, now)
            case NoteCancel():
                worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
                if worker is not None and worker.session is not None:
                    self.revoke(worker.session, job)
                self.settle(job, now)
            case ReviveJob():
                self.settle(job, now)
                if job.state is JobState.PENDING and not job.busy:
                    self.queue.wait(job, now)
            case _:
                assert_never(effect)
        self.note(job)

    def restore(self, job: LiveJob, now: float) -> None:
        """Take over a job from the tables; a worker that holds one has a full lease TTL to say so."""
        self.queue.add(job)
        if job.state in LEASED:
            worker = self.fleet.remember(job.worker_id or WorkerId(""), job.host or "", now)
            self.fleet.book(worker, job)
        elif job.state is JobState.PENDING:
            self.queue.wait(job, now)

    def _finished(self, effect: FinishJob, now: float) -> None:
        job = effect.job
        self.queue.move(job, effect.state)
        self.queue.remove(job)
        if effect.session is not None:
            self.acknowledge(effect.session, job.id, effect.token, Fate.COMMITTED)
        self.settle(job, now)
        for row in effect.follow_ups:
            self.settle(row.job, now)
            if not row.job.busy:
                self.queue.wait(row.job, now)
            self.note(row.job)

    def _released(self, effect: ReleaseLease, now: float) -> None:
        job, verdict = effect.job, effect.verdict
        self.queue.move(job, JobState.PENDING)
        job.retry_after = verdict.retry_after
        job.retry_count = verdict.retry_count
        job.lost_count = verdict.lost_count
        job.capacity_count = verdict.capacity_count
        job.error = verdict.error
        job.progress_percent = 0
        if effect.session is not None:
            self.acknowledge(effect.session, job.id, effect.token, Fate.COMMITTED)
        self.settle(job, now)
        if not job.busy and job.state is JobState.PENDING:
            self.queue.wait(job, now)
