"""The whole scheduler as a state machine: events in, effects out.

Each method is one event. It changes the state at once and leaves what has to be written in
``intake`` and ``turn``, and what has to be sent in ``messages``; the caller takes these lists, writes
and sends them, and reports back by ``committed``. While a statement about a job is under way the job is
*busy*, and what concerns it waits. Instants are seconds since 1970, given by the caller.
"""

from collections.abc import Callable, Iterable
from typing import assert_never

from callsheet.catalog import Category
from callsheet_scheduler.domain.effects import (
    Fate,
    FinishJob,
    GrantLease,
    InsertJobs,
    LookUp,
    Message,
    NewRow,
    NoteCancel,
    ReleaseLease,
    ReviveJob,
    SendAck,
    SendGrant,
    SendRevoke,
    TurnEffect,
)
from callsheet_scheduler.domain.fleet import Capability, Fleet, Worker
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.lanes import Lane
from callsheet_scheduler.domain.library import LibraryChanges
from callsheet_scheduler.domain.queue import Queue
from callsheet_scheduler.domain.retry import Ending, judge
from callsheet_scheduler.domain.rules import Rules


class Engine:
    """Decides everything, from memory."""

    def __init__(self, *, term: int, rules: Rules) -> None:
        self.term = term
        self.rules = rules
        self.queue = Queue()
        self.fleet = Fleet(rules.host_limits)
        self.intake: list[InsertJobs] = []
        self.turn: list[TurnEffect] = []
        self.messages: list[Message] = []
        self.changed: set[JobId] = set()
        """Jobs to tell watchers of; filled only while *watched*."""
        self.watched = False
        self._token = term << 32
        self._sequence = term << 32

    # ---- submissions ----

    def next_sequence(self) -> int:
        """Return the next place in the order of arrival."""
        self._sequence += 1
        return self._sequence

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
                    self._lease(job, worker)
                    effect.session[job.id] = worker.session
        self.intake.append(effect)

    def inserted(self, effect: InsertJobs, now: float) -> None:
        """The rows are durable."""
        for row in effect.rows:
            session = effect.session.get(row.job.id)
            if session is None:
                self._settle(row.job, now)
                if row.job.state is JobState.PENDING and not row.job.busy:
                    self.queue.wait(row.job, now)
                self._note(row.job)
            else:
                self._granted(row.job, session, row.params, now)
        self._plan(now)

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
        self._plan(now)

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
            if job_id in self.queue.jobs and not self._holds(worker.capability.id, job_id, token)
        ]
        for job_id in sorted(worker.leases):
            job = self.queue.jobs[job_id]
            if job.busy:
                continue
            if named.get(job_id) != job.token:
                ending = Ending.LOST if job.state is JobState.RUNNING else Ending.RETURNED
                self._end(job, ending, "The worker came back without this job", now)
            elif job.cancel_requested_at is not None:
                self._revoke(session, job)
        self._plan(now)
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
                self._end(job, Ending.RETURNED, "The worker left", now)
        self.fleet.disconnect(worker)
        self._plan(now)

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

    def tick(self, now: float) -> None:
        """Time passed: leases of silent workers end, jobs whose instant came may start."""
        for worker in self.fleet.silent(now, self.rules.lease_ttl_s):
            self.fleet.suspend(worker)
            for job_id in sorted(worker.leases):
                job = self.queue.jobs[job_id]
                if not job.busy:
                    reason = f"The worker {worker.capability.id} gave no sign of life"
                    self._end(job, Ending.LOST, reason, now)
            self.fleet.forget_if_gone(worker)
        self._plan(now)

    # ---- attempts ----

    def started(self, worker_id: WorkerId, job_id: JobId, token: Token, started_at: float) -> None:
        """A worker began an attempt."""
        if self._holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if job.state is JobState.QUEUED:
                self.queue.move(job, JobState.RUNNING)
                job.started_at = started_at
                self._note(job)

    def progress(self, worker_id: WorkerId, job_id: JobId, token: Token, percent: int) -> None:
        """A worker said how far it is."""
        if self._holds(worker_id, job_id, token):
            job = self.queue.jobs[job_id]
            if percent > job.progress_percent:
                job.progress_percent = min(percent, 100)
                self._note(job)

    def attempt_of(self, worker_id: WorkerId, job_id: JobId, token: Token) -> int | None:
        """Return the number of the attempt under this lease, or None where it is not held."""
        return self.queue.jobs[job_id].attempt if self._holds(worker_id, job_id, token) else None

    def completed(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        *,
        result: str,
        library: LibraryChanges | None,
        follow_ups: list[NewRow],
        span: tuple[float | None, float],
        now: float,
    ) -> None:
        """A worker did what it was asked for.

        Args:
            worker: Identity and session.
            lease: Job and token.
            span: When the attempt began (None: never) and ended.
        """

        def again(later: float) -> None:
            self.completed(
                worker,
                lease,
                result=result,
                library=library,
                follow_ups=follow_ups,
                span=span,
                now=later,
            )

        job = self._job_of_result(worker, lease, again)
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

        job = self._job_of_result(worker, lease, again)
        if job is not None:
            job.started_at = span[0] if span[0] is not None else job.started_at
            self._end(job, ending, reason, now, library=library, session=worker[1])

    def finish_refused(self, effect: FinishJob | ReleaseLease, reason: str, now: float) -> None:
        """What a result wanted written is not acceptable: the attempt counts as failed."""
        for row in effect.follow_ups if isinstance(effect, FinishJob) else []:
            self.queue.remove(row.job)
        message = f"The result was refused: {reason}"
        self._conclude(effect.job, Ending.BAD_INPUT, message, now, library=None, session=None)
        if effect.session is not None:
            self._ack(effect.session, effect.job.id, effect.token, Fate.REFUSED)

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
                self._granted(job, effect.session, effect.params, now)
            case FinishJob():
                self._finished(effect, now)
            case ReleaseLease():
                self._released(effect, now)
            case NoteCancel():
                worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
                if worker is not None and worker.session is not None:
                    self._revoke(worker.session, job)
                self._settle(job, now)
            case ReviveJob():
                self._settle(job, now)
                if job.state is JobState.PENDING and not job.busy:
                    self.queue.wait(job, now)
            case _:
                assert_never(effect)
        self._note(job)

    def plan(self, now: float) -> None:
        """Grant what can be granted."""
        self._plan(now)

    def restore(self, job: LiveJob, now: float) -> None:
        """Take over a job from the tables; a worker that holds one has a full lease TTL to say so."""
        self.queue.add(job)
        if job.state in LEASED:
            worker = self.fleet.remember(job.worker_id or WorkerId(""), job.host or "", now)
            self.fleet.book(worker, job)
        elif job.state is JobState.PENDING:
            self.queue.wait(job, now)

    # ---- inside ----

    def _holds(self, worker_id: WorkerId, job_id: JobId, token: Token) -> bool:
        job = self.queue.jobs.get(job_id)
        return job is not None and job.token == token and job.worker_id == worker_id and job.state in LEASED

    def _note(self, job: LiveJob) -> None:
        if self.watched:
            self.changed.add(job.id)

    def _ack(self, session: int, job_id: JobId, token: Token, fate: Fate) -> None:
        self.messages.append(SendAck(session=session, job_id=job_id, token=token, fate=fate))

    def _revoke(self, session: int, job: LiveJob) -> None:
        revoke = SendRevoke(session=session, job_id=job.id, token=job.token, cancelled=True)
        self.messages.append(revoke)

    def _settle(self, job: LiveJob, now: float) -> None:
        job.busy = False
        while job.deferred and not job.busy:
            job.deferred.pop(0)(now)

    def _job_of_result(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        again: Callable[[float], None],
    ) -> LiveJob | None:
        job_id, token = lease
        job = self.queue.jobs.get(job_id)
        if job is None:
            self.messages.append(LookUp(session=worker[1], job_id=job_id, token=token))
            return None
        if job.busy and job.token == token:
            job.deferred = [*(job.deferred or []), again]
            return None
        if not self._holds(worker[0], job_id, token):
            self._ack(worker[1], job_id, token, Fate.STALE)
            return None
        return job

    def _lease(self, job: LiveJob, worker: Worker) -> None:
        self._token += 1
        job.token = Token(self._token)
        job.attempt += 1
        job.worker_id = worker.capability.id
        job.host = worker.capability.host
        job.started_at = None
        job.retry_after = None
        job.progress_percent = 0
        self.queue.move(job, JobState.QUEUED)
        self.fleet.charge(worker, job)

    def _plan(self, now: float) -> None:
        self.queue.wake(now)
        for category, lane in self.queue.lanes.items():
            while self.fleet.any_ready() and self._grant_next(category, lane):
                pass

    def _grant_next(self, category: Category, lane: Lane) -> bool:
        for _, job_type in lane.heads():
            worker = self.fleet.worker_for(category, job_type)
            if worker is not None and worker.session is not None:
                job = self.queue.jobs[lane.pop(job_type)]
                job.busy = True
                self._lease(job, worker)
                self.turn.append(GrantLease(job=job, session=worker.session))
                return True
        return False

    def _granted(self, job: LiveJob, session: int, params: str, now: float) -> None:
        token = job.token
        self._settle(job, now)
        worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
        if job.busy or job.token != token:
            return
        if worker is None or worker.session != session:
            self._end(job, Ending.RETURNED, "The worker was gone before it heard of the lease", now)
            return
        self.messages.append(
            SendGrant(session=session, job=job, token=token, attempt=job.attempt, params=params),
        )
        self._note(job)

    def _end(
        self,
        job: LiveJob,
        ending: Ending,
        reason: str,
        now: float,
        *,
        library: LibraryChanges | None = None,
        session: int | None = None,
    ) -> None:
        job.busy = True
        self.fleet.release(job)
        self._conclude(job, ending, reason, now, library=library, session=session)

    def _conclude(
        self,
        job: LiveJob,
        ending: Ending,
        reason: str,
        now: float,
        *,
        library: LibraryChanges | None,
        session: int | None,
    ) -> None:
        verdict = judge(job, ending, reason, self.rules.retry, now)
        mark = f"--- LEASE LOST --- {reason}" if ending is Ending.LOST else None
        if verdict.again:
            self.turn.append(
                ReleaseLease(
                    job=job,
                    token=job.token,
                    verdict=verdict,
                    outcome=OUTCOME_WORDS.get(ending, "failed"),
                    ended_at=now,
                    reason=reason,
                    library=library,
                    mark=mark,
                    session=session,
                ),
            )
            return
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=JobState.QUEUED,
                state=JobState.CANCELLED if verdict.cancelled else JobState.FAILED,
                finished_at=now,
                error=verdict.error,
                library=library,
                mark=cancel_mark("") if verdict.cancelled else mark,
                session=session,
                lost_count=verdict.lost_count,
            ),
        )

    def _finished(self, effect: FinishJob, now: float) -> None:
        job = effect.job
        self.queue.move(job, effect.state)
        self.queue.remove(job)
        if effect.session is not None:
            self._ack(effect.session, job.id, effect.token, Fate.COMMITTED)
        self._settle(job, now)
        for row in effect.follow_ups:
            self._settle(row.job, now)
            if not row.job.busy:
                self.queue.wait(row.job, now)
            self._note(row.job)

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
            self._ack(effect.session, job.id, effect.token, Fate.COMMITTED)
        self._settle(job, now)
        if not job.busy and job.state is JobState.PENDING:
            self.queue.wait(job, now)


#: The word that an attempt's row keeps.
OUTCOME_WORDS = {Ending.LOST: "expired", Ending.RETURNED: "returned"}


def cancel_mark(by: str) -> str:
    """Return the line that a cancelled job's log ends with."""
    return f"--- JOB CANCELLED BY {(by or 'admin').upper()} ---"
