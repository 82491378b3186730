"""What the workers of the fleet do: they come, show that they live, tell of their GPUs, and go."""

from collections.abc import Iterable, Mapping

from callsheet_scheduler.domain.device import DeviceId, Reading
from callsheet_scheduler.domain.effects import Output, SendDrain, SendPlace, SettleOutput
from callsheet_scheduler.domain.fleet import Capability, Worker
from callsheet_scheduler.domain.job import JobId, JobState, Token, WorkerId
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.steering import Steering


class Presence(Steering):
    """The events that workers cause, their attempts aside, and those of time."""

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
        named = dict.fromkeys(held)
        self.ledger.connect(capability.id, capability.host, capability.cards, named, now)
        stale = [(job_id, token) for job_id, token in named if self._is_stale(capability.id, job_id, token)]
        for job_id in sorted(worker.leases):
            job = self.queue.jobs[job_id]
            if (job_id, job.token) not in named:
                ending = Ending.LOST if job.state is JobState.RUNNING else Ending.RETURNED
                outcome = Outcome(ending=ending, reason="The worker came back without this job")
                self.end_when_settled(job, outcome, now)
            elif not job.busy:
                self.revoke(session, job)
        if worker.draining:
            grace_s = self.fleet.drained[worker.capability.id]
            self.messages.append(SendDrain(session=session, draining=True, grace_s=grace_s))
        self._ask_to_place(worker)
        self.plan(now)
        return stale

    def _is_stale(self, worker_id: WorkerId, job_id: JobId, token: Token) -> bool:
        job = self.queue.jobs.get(job_id)
        if job is None or self.holds(worker_id, job_id, token):
            return False
        return not self.is_unsettled(job, token)

    def session_closed(self, worker_id: WorkerId, session: int, now: float) -> None:
        """A stream ended. Its worker may come back."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None and worker.session == session:
            worker.last_seen_at = now
            self._part(worker, session)

    def goodbye(self, worker_id: WorkerId, session: int, now: float) -> None:
        """A worker left for good."""
        worker = self.fleet.workers.get(worker_id)
        if worker is None or worker.session != session:
            return
        for job_id in sorted(worker.leases):
            outcome = Outcome(ending=Ending.RETURNED, reason="The worker left")
            self.end_when_settled(self.queue.jobs[job_id], outcome, now)
        self.ledger.exited(worker_id)
        self._part(worker, session)
        self.plan(now)

    def _part(self, worker: Worker, session: int) -> None:
        self.fleet.disconnect(worker)
        self.ledger.disconnect(worker.capability.id)
        if self.outputs.take_back(session):
            self.offer_outputs(None)

    def offer_outputs(self, first: WorkerId | None) -> None:
        """Ask workers to place what nobody was asked to place, *first* before the others."""
        maker = self.fleet.workers.get(first or WorkerId(""))
        for worker in ([maker] if maker else []) + list(self.fleet.workers.values()):
            self._ask_to_place(worker)

    def _ask_to_place(self, worker: Worker) -> None:
        if worker.session is not None:
            for output in self.outputs.give(worker.session, worker.capability.writable_roots):
                self.messages.append(SendPlace(session=worker.session, output=output))

    def placed(self, output: Output, problem: str) -> None:
        """A worker put an output where it was asked for, or says why it cannot."""
        pending = self.outputs.get(output)
        if pending is not None and not pending.settling:
            pending.settling = True
            self.turn.append(SettleOutput(output=pending.output, problem=problem))

    def heard(self, worker_id: WorkerId, *, load: float, now: float) -> None:
        """A heartbeat."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None:
            worker.last_seen_at = now
            worker.load = load
            self.fleet.update_ready(worker)

    def observed(self, worker_id: WorkerId, readings: Mapping[DeviceId, Reading], now: float) -> None:
        """A worker looked at its GPUs."""
        self.ledger.observe(worker_id, readings, now)

    def credit(self, worker_id: WorkerId, credit: int, now: float) -> None:
        """A worker can take more leases."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None and worker.session is not None:
            worker.last_seen_at = now
            self.fleet.add_credit(worker, credit)

    def leaving(self, worker_id: WorkerId) -> None:
        """A worker takes no more leases."""
        worker = self.fleet.workers.get(worker_id)
        if worker is not None:
            worker.leaving = True
            self.fleet.void_credit(worker)

    def tick(self, now: float) -> None:
        """Time passed: leases of silent workers end, jobs whose instant came may start."""
        for worker in self.fleet.silent(now, self.rules.lease_ttl_s):
            self.fleet.suspend(worker)
            for job_id in sorted(worker.leases):
                job = self.queue.jobs[job_id]
                if not job.busy:
                    reason = f"The worker {worker.capability.id} gave no sign of life"
                    self.end(job, Outcome(ending=Ending.LOST, reason=reason, exit_known=False), now)
            self.fleet.forget_if_gone(worker)
        if self.ledger.lingering:
            self.ledger.expire(now)
        self.plan(now)
