"""What a new leader takes over from the tables."""

from collections.abc import Iterable, Mapping

from callsheet_scheduler.domain.device import Charge, KeptAccount
from callsheet_scheduler.domain.effects import Output
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, WorkerId
from callsheet_scheduler.domain.limits import Limits, Pause
from callsheet_scheduler.domain.presence import Presence


class Takeover(Presence):
    """The events by which a leadership begins: first the jobs, then their ties, then what people decided."""

    def restore(self, job: LiveJob, now: float) -> None:
        """Take over a job; a worker that holds one has a full lease TTL to say so.

        Those that it needs count as not final until ``restore_ties``.
        """
        self.queue.add(job)
        if job.state in LEASED:
            worker = self.fleet.remember(job.worker_id or WorkerId(""), job.host or "", now)
            self.fleet.book(worker, job)
        elif job.state is JobState.PENDING:
            self.queue.wait(job, now)
        else:
            self.queue.hold_back(job)

    def restore_ties(self, done: Mapping[JobId, JobState], now: float) -> None:
        """Let the jobs go on that needed others which are *done*, or end.

        What is needed and neither live nor done has completed, and its day was dropped since: a job whose
        needed job fails does not outlive it for long.
        """
        for job_id in self.queue.knots.unknown(self.queue.jobs):
            completed = done.get(job_id, JobState.COMPLETED) is JobState.COMPLETED
            self.needed_ended(job_id, now, completed=completed)
        for job in [self.queue.jobs[job_id] for job_id in self.queue.knots.waiting()]:
            if job.winding_up:
                self.wind_up(job, now)

    def restore_ledger(self, accounts: Iterable[KeptAccount], charges: Iterable[Charge]) -> None:
        """Take over the ledger."""
        self.ledger.restore(accounts, charges)

    def restore_controls(
        self,
        *,
        pauses: Iterable[Pause],
        limits: Limits,
        drained: Mapping[WorkerId, float | None],
        outputs: Iterable[Output],
        now: float,
    ) -> None:
        """Take over what people decided, and what still has to be put in its place."""
        self.pauses.by_scope.update((pause.scope, pause) for pause in pauses)
        for worker_id, grace_s in drained.items():
            self.fleet.drain(worker_id, draining=True, grace_s=grace_s)
        for output in outputs:
            self.outputs.add(output)
        self.set_limits(limits, now)
