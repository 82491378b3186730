"""What people want of the queue: of one job, of a scope, of a worker."""

from callsheet_scheduler.domain.desk import Desk, cancel_mark
from callsheet_scheduler.domain.effects import ChangeJob, FinishJob, ReviveJob, SendDrain
from callsheet_scheduler.domain.job import LEASED, IfFails, JobId, JobState, LiveJob, Ties, WorkerId
from callsheet_scheduler.domain.limits import Limits, Pause, Scope


class Steering(Desk):
    """The events that people cause. A job that they name must not be busy."""

    def cancel(self, job: LiveJob, *, by: str, now: float) -> None:
        """Somebody wants *job* to end: at once where it waits, else when its worker confirms.

        One that waits for its children ends when they have ended, which are cancelled with it.
        """
        if job.state in LEASED:
            if job.cancel_requested_at is None:
                self._change(job, cancel_requested_at=now)
            return
        if job.ties is not None and job.ties.children and job.ties.open:
            if not job.winding_up:
                self._change(job, state=JobState.PENDING, cancel_requested_at=now)
            return
        self._end_cancelled(job, by=by, now=now)

    def _end_cancelled(self, job: LiveJob, *, by: str, now: float) -> None:
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

    def pause(self, job: LiveJob, now: float) -> None:
        """Somebody holds *job* back: at once where it waits, else when its worker kept a checkpoint.

        Where it waits for children they are held back with it, for as long as it is paused: that follows
        from its own row, so nothing is written about them. Those that run go on.
        """
        if job.state in LEASED:
            if job.pause_requested_at is None:
                self._change(job, pause_requested_at=now)
        elif job.state is JobState.PENDING and not job.winding_up:
            self.queue.lanes[job.category].discard(job)
            self._change(job, state=JobState.PAUSED)

    def resume(self, job: LiveJob) -> None:
        """Somebody lets *job* go on; a pause that its worker has not made yet is called off."""
        if job.state is JobState.PAUSED:
            self._change(job, state=JobState.PENDING)
        elif job.pause_requested_at is not None:
            self._change(job, pause_requested_at=None)

    def prioritize(self, job: LiveJob, priority: int) -> None:
        """Somebody makes *job* more or less urgent."""
        if priority != job.priority:
            self._change(job, priority=priority)

    def need(self, job: LiveJob, vram_mib: int) -> None:
        """Somebody decided that *job*, which waits or is paused, needs so much of a GPU."""
        if vram_mib != job.vram_mib:
            self._change(job, vram_mib=vram_mib)

    def revive(self, job: LiveJob, was: JobState, now: float) -> ReviveJob:
        """Somebody retries a job of history: *job* is its record, pending."""
        job.busy = True
        job.created_at = min(job.created_at, now)
        if job.ties is not None:  # what is final by now holds it no more
            job.ties.needs = tuple(needed for needed in job.ties.needs if needed in self.queue.jobs)
            job.ties.children, job.ties.yields = (), 0  # it begins at the beginning
            job.ties.open = set(job.ties.needs)
        self.queue.add(job)
        mark = f"--- RETRY ATTEMPT {job.retry_count} ---"
        effect = ReviveJob(job=job, was=was, mark=mark)
        self.turn.append(effect)
        return effect

    def revival_refused(self, effect: ReviveJob, now: float) -> None:
        """The job stays in history, which has changed since it was read."""
        effect.refused = True
        self.queue.remove(effect.job)
        self.settle(effect.job, now)

    def pause_scope(self, pause: Pause) -> None:
        """Grant nothing of a scope. Leases that are being written still go out."""
        self.pauses.by_scope[pause.scope] = pause

    def resume_scope(self, scope: Scope, now: float) -> None:
        """Grant jobs of a scope again."""
        self.pauses.by_scope.pop(scope, None)
        self.plan(now)

    def set_limits(self, limits: Limits, now: float) -> None:
        """People decided on these limits. What runs above a lower one goes on."""
        self.limits = limits
        self.fleet.limits = Limits(host={**self.rules.host_limits, **limits.host}, fleet=limits.fleet)
        self.plan(now)

    def set_drain(self, worker_id: WorkerId, *, draining: bool, grace_s: float | None, now: float) -> None:
        """Let a worker take no more leases, or take them again."""
        worker = self.fleet.drain(worker_id, draining=draining, grace_s=grace_s)
        if worker is not None and worker.session is not None:
            self.messages.append(SendDrain(session=worker.session, draining=draining, grace_s=grace_s))
        self.plan(now)

    def changed_job(self, effect: ChangeJob, now: float) -> None:
        """What somebody wanted of a job is durable."""
        job = effect.job
        job.priority = effect.priority
        job.vram_mib = effect.vram_mib
        job.cancel_requested_at = effect.cancel_requested_at
        job.pause_requested_at = effect.pause_requested_at
        if effect.state is not effect.was:
            self.queue.move([job], effect.state)
        worker = self.fleet.workers.get(job.worker_id or WorkerId(""))
        if job.state in LEASED and worker is not None and worker.session is not None:
            self.revoke(worker.session, job)
        self.settle(job, now)
        self.wait_if_free(job, now)
        if job.winding_up:
            self.wind_up(job, now)
        elif effect.state is JobState.PAUSED:
            self.queue.hold_back(job)
        elif effect.was is JobState.PAUSED:
            for child in self.queue.belonging(job):
                self.wait_if_free(child, now)

    def wait_if_free(self, job: LiveJob, now: float) -> None:
        """Let *job* wait for its turn, if it is pending and nothing is under way about it.

        One that needs a job that failed ends instead, and so does one that was cancelled.
        """
        if job.state is not JobState.PENDING or job.busy:
            return
        if job.cancel_requested_at is not None:
            if job.ties is None or not job.ties.open:
                self._end_cancelled(job, by="", now=now)
        elif job.ties is not None and job.ties.broken is not None:
            self._end_unmet(job, job.ties, now)
        else:
            self.queue.wait(job, now)

    def wind_up(self, job: LiveJob, now: float) -> None:
        """Cancel the children of *job*, which was cancelled while it waits for them."""
        for child_id in sorted(job.ties.open) if job.ties is not None else ():
            child = self.queue.jobs[child_id]
            if child.parent_id == job.id:
                self._cancel_when_settled(child, now)

    def _cancel_when_settled(self, job: LiveJob, now: float) -> None:
        if self.queue.jobs.get(job.id) is not job:
            return
        if job.busy:
            job.deferred = [*(job.deferred or []), lambda later: self._cancel_when_settled(job, later)]
        else:
            self.cancel(job, by="its parent", now=now)

    def needed_ended(self, job_id: JobId, now: float, *, completed: bool) -> None:
        """A job is final: those that needed it go on, or end."""
        for waiting in self.queue.knots.ended(job_id, completed=completed):
            self.wait_if_free(self.queue.jobs[waiting], now)

    def _end_unmet(self, job: LiveJob, ties: Ties, now: float) -> None:
        job.busy = True
        cancelled = ties.if_fails is IfFails.CANCEL
        error = f"It needs the job {ties.broken}, which did not complete"
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=JobState.PENDING,
                state=JobState.CANCELLED if cancelled else JobState.FAILED,
                finished_at=now,
                error=error,
                mark=f"--- NOT STARTED --- {error}",
            ),
        )

    def _change(
        self,
        job: LiveJob,
        *,
        state: JobState | None = None,
        priority: int | None = None,
        vram_mib: int | None = None,
        **asked: float | None,
    ) -> None:
        if job.state is JobState.PENDING:
            self.queue.lanes[job.category].discard(job)
        durable = JobState.QUEUED if job.state in LEASED else job.state
        job.busy = True
        self.turn.append(
            ChangeJob(
                job=job,
                token=job.token,
                was=durable,
                state=state or durable,
                priority=priority or job.priority,
                vram_mib=job.vram_mib if vram_mib is None else vram_mib,
                cancel_requested_at=asked.get("cancel_requested_at", job.cancel_requested_at),
                pause_requested_at=asked.get("pause_requested_at", job.pause_requested_at),
            ),
        )
