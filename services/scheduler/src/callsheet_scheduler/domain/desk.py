"""What the scheduler has before it, and the moves that its decisions are made of."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from callsheet.catalog import Category
from callsheet_scheduler.domain.backfill import Backfill
from callsheet_scheduler.domain.device import SOFTWARE, Charge, DeviceId, held_by, need_of
from callsheet_scheduler.domain.effects import (
    Fate,
    FinishJob,
    GrantLease,
    InsertJobs,
    LookUp,
    Message,
    ReleaseLease,
    Revocation,
    SendAck,
    SendGrant,
    SendRevoke,
    TurnEffect,
    Vram,
)
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.footprint import Footprints
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Limits, Pauses
from callsheet_scheduler.domain.outcome import LOST_RUNG, OUTCOME_WORDS, Ending, Outcome, Rung
from callsheet_scheduler.domain.outputs import Outputs
from callsheet_scheduler.domain.placing import Sort, largest_for, sort_of
from callsheet_scheduler.domain.queue import Queue
from callsheet_scheduler.domain.retry import judge
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.domain.suspicion import blamed, culprit
from callsheet_scheduler.domain.waits import Waits

#: Seconds for which submissions take it that no larger GPU has come.
MOST_KNOWN_S: Final = 5.0

_NOBODY: Final = WorkerId("")

_UNHEARD: Final = Outcome(ending=Ending.RETURNED, reason="The worker was gone before it heard of the lease")


def cancel_mark(by: str) -> str:
    """Return the line that a cancelled job's log ends with."""
    return f"--- JOB CANCELLED BY {(by or 'admin').upper()} ---"


class Desk:
    """The queue, the fleet, and what waits to be written or sent."""

    def __init__(self, *, term: int, rules: Rules) -> None:
        self.term = term
        self.rules = rules
        self.queue = Queue()
        self.limits = Limits()
        """What people decided; the rules' limits hold where they decided nothing."""
        self.fleet = Fleet(Limits(host=rules.host_limits))
        self.pauses = Pauses()
        self.outputs = Outputs()
        self.intake: list[InsertJobs] = []
        self.turn: list[TurnEffect] = []
        self.messages: list[Message] = []
        self.ledger = Ledger(rules.ledger, self.turn)
        self.footprints = Footprints()
        self.backfill = Backfill(
            rules.backfill, self.fleet, self.ledger, self.queue, self.pauses, self.footprints
        )
        self.waits = Waits()
        """Of first attempts, since they were last written."""
        self._most: dict[Sort, tuple[float, int]] = {}
        """By kind of job: since when the largest GPU is known, and its memory."""
        self.changed: dict[JobId, JobId | None] = {}
        """Jobs to tell watchers of, each with its parent; filled only while *watched*."""
        self.watched = False
        self.halted = False
        """No lease is granted: the database cannot take more at present."""
        self._token = term << 32
        self._sequence = term << 32

    def next_sequence(self) -> int:
        """Return the next place in the order of arrival."""
        self._sequence += 1
        return self._sequence

    def learned_mib(self, job: LiveJob, now: float, *, asked: bool) -> int:
        """Return what a new *job* is charged with of a GPU, by what jobs like it turned out to need.

        That is never less than its submitter *asked* for, and not more than it can have.
        """
        if asked:
            return max(job.vram_mib, self.charge_mib(sort_of(job), job.size_class, job.vram_mib, now))
        return self.charge_mib(sort_of(job), job.size_class, job.vram_mib, now)

    def charge_mib(self, sort: Sort, size: int | None, known_mib: int, now: float) -> int:
        """Return what a job of *sort* and *size* is charged with that asks for nothing.

        That is *known_mib* while too little is learned.
        """
        proposed_mib = self.footprints.proposal_mib(sort[1], size)
        if proposed_mib is None:
            return known_mib
        if proposed_mib <= known_mib:
            return proposed_mib
        return max(known_mib, min(proposed_mib, self._most_mib(sort, now)))

    def _most_mib(self, sort: Sort, now: float) -> int:
        """Return the memory of the largest GPU for jobs of *sort*, as it was a moment ago."""
        known_at, most_mib = self._most.get(sort, (float("-inf"), 0))
        if now - known_at > MOST_KNOWN_S:
            most_mib = largest_for(self.fleet, self.ledger, sort)
            self._most[sort] = (now, most_mib)
        return most_mib

    def holds(self, worker_id: WorkerId, job_id: JobId, token: Token) -> bool:
        """Return whether the worker holds the job under this token now."""
        job = self.queue.jobs.get(job_id)
        return job is not None and job.token == token and job.worker_id == worker_id and job.state in LEASED

    @staticmethod
    def is_unsettled(job: LiveJob, token: Token) -> bool:
        """Return whether the statement under way about *job* decides what a lease under *token* is worth.

        It may be the insertion of a job that somebody submits once more, and that is done: then this lease
        is of history, and not older than one of *job*, which had none before.
        """
        return job.busy and (job.token == token or job.attempt <= 1)

    def note(self, job: LiveJob) -> None:
        """Tell watchers of *job*, if there are any."""
        if self.watched:
            self.changed[job.id] = job.parent_id

    def note_ids(self, ids: Iterable[JobId]) -> None:
        """Tell watchers of jobs that never lived, if there are any."""
        if self.watched:
            self.changed |= dict.fromkeys(ids)

    def acknowledge(self, session: int, job_id: JobId, token: Token, fate: Fate) -> None:
        """Answer a result."""
        self.messages.append(SendAck(session=session, job_id=job_id, token=token, fate=fate))

    def revoke(self, session: int, job: LiveJob) -> None:
        """Tell the session's worker what was asked of the attempt, if anything was."""
        if job.cancel_requested_at is not None:
            what = Revocation.CANCEL
        elif job.pause_requested_at is not None:
            what = Revocation.PAUSE
        else:
            return
        self.messages.append(SendRevoke(session=session, job_id=job.id, token=job.token, what=what))

    def settle(self, job: LiveJob, now: float) -> None:
        """The statement about *job* is done; what waited for it goes on."""
        job.busy = False
        while job.deferred and not job.busy:
            job.deferred.pop(0)(now)

    def job_of_result(
        self,
        worker: tuple[WorkerId, int],
        lease: tuple[JobId, Token],
        again: Callable[[float], None],
        *,
        completed: bool,
        yielded: bool = False,
    ) -> LiveJob | None:
        """Return the job that a result speaks of, or answer it, or let it wait, and return None."""
        job_id, token = lease
        if self.ledger.lingering:
            self.ledger.prove(lease)
        job = self.queue.jobs.get(job_id)
        if job is not None and job.busy and self.is_unsettled(job, token):
            job.deferred = [*(job.deferred or []), again]
            return None
        if job is not None and job.token == token and job.worker_id == worker[0] and job.state in LEASED:
            return job
        if job is None or yielded:
            claim = LookUp(
                session=worker[1], job_id=job_id, token=token, completed=completed, yielded=yielded
            )
            self.messages.append(claim)
        else:
            self.acknowledge(worker[1], job_id, token, Fate.STALE)
        return None

    def lease(self, jobs: Sequence[LiveJob], worker: Worker) -> None:
        """Give *jobs*, which are of one kind, to *worker*: each the next token and the next attempt."""
        worker_id, host = worker.capability.id, worker.capability.host
        for job in jobs:
            self._token += 1
            job.token = Token(self._token)
            job.attempt += 1
            job.worker_id = worker_id
            job.host = host
            job.started_at = None
            job.retry_after = None
            job.progress_percent = 0
        self.queue.move(jobs, JobState.QUEUED)
        self.fleet.charge(worker, jobs)

    def plan(self, now: float) -> None:
        """Grant what can be granted."""
        self.queue.wake(now)
        if self.halted:
            return
        while self.fleet.any_ready() and self._grant_cpu_jobs(now):
            pass
        for job, spot, session in self.backfill.choices(now):
            self.queue.gpu_lanes[job.category].discard(job)
            job.busy = True
            job.device = spot.device
            self.lease([job], spot.worker)
            charge = self._charge(job, spot.device, now)
            self.turn.append(GrantLease(job=job, session=session, at=now, charge=charge))

    def _grant_cpu_jobs(self, now: float) -> bool:
        """Grant the first job that somebody can run, and those behind it that the same worker would get."""
        lane = self.queue.cpu_lane
        heads = lane.heads()
        for _, kind in heads:
            worker = self.grantee(Category.CPU, *kind)
            if worker is not None and (session := worker.session) is not None:
                count = self.fleet.spare(worker, Category.CPU, kind[0]) if len(heads) == 1 else 1
                jobs = [self.queue.jobs[job_id] for job_id in lane.take(kind, count)]
                self.lease(jobs, worker)
                for job in jobs:
                    job.busy = True
                    self.turn.append(GrantLease(job=job, session=session, at=now))
                return True
        return False

    def _charge(self, job: LiveJob, device: DeviceId, now: float) -> Charge | None:
        need = need_of(job.category, job.vram_mib)
        if device == SOFTWARE or need is None:
            return None
        charge = Charge(
            lease=(job.id, job.token),
            device=device,
            worker_id=job.worker_id or WorkerId(""),
            need=need,
            at=now,
        )
        self.ledger.charge(charge)
        return charge

    def vram_after(self, job: LiveJob, *, exit_known: bool = True) -> Vram:
        """Return what becomes of the share of a GPU that the lease of *job*, which ends, holds."""
        if job.device is None or job.device == SOFTWARE:
            return Vram.NONE
        return Vram.FREED if exit_known else Vram.LINGERS

    def settle_vram(self, job: LiveJob, vram: Vram, now: float) -> None:
        """Let it become so; to be called when the end of the lease is among what has to be written."""
        if vram is Vram.FREED:
            self.ledger.release(DeviceId(job.device or ""), (job.id, job.token))
        elif vram is Vram.LINGERS:
            began = job.state is JobState.RUNNING
            self.ledger.linger(DeviceId(job.device or ""), (job.id, job.token), now, began=began)

    def grantee(
        self, category: Category, job_type: str, root: str | None, *, at_once: bool = False
    ) -> Worker | None:
        """Return the worker that would get such a job; None where it has to wait."""
        if self.halted or self.pauses.holding(category, job_type) is not None:
            return None
        return self.fleet.worker_for(category, job_type, root, at_once=at_once)

    def granted(self, job: LiveJob, session: int, params: tuple[str, str], now: float) -> None:
        """The lease is durable: tell its worker, or take it back where the worker is gone.

        *params* are the parameters and the checkpoint.
        """
        token = job.token
        job.resumed = bool(params[1])
        self.settle(job, now)
        if job.busy or job.token != token:
            return
        worker = self.fleet.workers.get(job.worker_id or _NOBODY)
        if worker is None or worker.session != session:
            self.end(job, _UNHEARD, now)
            return
        self.messages.append(
            SendGrant(
                session=session,
                job=job,
                token=token,
                attempt=job.attempt,
                params=params[0],
                checkpoint=params[1],
            ),
        )
        if self.watched:
            self.note(job)

    def end(
        self,
        job: LiveJob,
        outcome: Outcome,
        now: float,
        *,
        session: int | None = None,
        fate: Fate = Fate.COMMITTED,
    ) -> None:
        """The attempt of *job* is over without success: free its slot and decide what comes next."""
        job.busy = True
        self.fleet.end(job)
        vram = self.vram_after(job, exit_known=outcome.exit_known)
        self.conclude(job, outcome, now, session=session, fate=fate, vram=vram)
        self.settle_vram(job, vram, now)

    def end_when_settled(self, job: LiveJob, outcome: Outcome, now: float) -> None:
        """As ``end``, but after the statement about *job*, if one is under way."""
        if not job.busy:
            self.end(job, outcome, now)
            return
        holder, token = job.worker_id or WorkerId(""), job.token

        def again(later: float) -> None:
            if self.holds(holder, job.id, token):
                self.end_when_settled(job, outcome, later)

        job.deferred = [*(job.deferred or []), again]

    def conclude(
        self,
        job: LiveJob,
        outcome: Outcome,
        now: float,
        *,
        session: int | None = None,
        fate: Fate = Fate.COMMITTED,
        vram: Vram = Vram.NONE,
    ) -> None:
        """Decide what becomes of *job* after an attempt without success, and have it written.

        *fate* is what *session* is then told of the result, *vram* what becomes of its share of a GPU.
        """
        (ending, more_mib), reason = self._ending_of(job, outcome), outcome.reason
        found = culprit(job) if ending is Ending.LOST else None
        verdict = judge(job, ending, reason, self.rules.retry, now, more_mib=more_mib, culprit=found)
        job.suspect, job.in_hand = job.in_hand if ending is Ending.LOST else None, None
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
                    checkpoint=outcome.checkpoint,
                    library=outcome.library if found is None else blamed(found),
                    mark=mark,
                    session=session,
                    vram=vram,
                    peak_vram_mib=outcome.peak_vram_mib,
                ),
            )
            return
        rung = outcome.rung or LOST_RUNG.get(ending, Rung.NONE)
        self.turn.append(
            FinishJob(
                job=job,
                token=job.token,
                was=JobState.QUEUED,
                state=JobState.CANCELLED if verdict.cancelled else JobState.FAILED,
                finished_at=now,
                error=verdict.error,
                library=outcome.library,
                mark=cancel_mark("") if verdict.cancelled else mark,
                session=session,
                fate=fate,
                lost_count=verdict.lost_count,
                rung=rung if verdict.cancelled else Rung.NONE,
                vram=vram,
                peak_vram_mib=outcome.peak_vram_mib,
            ),
        )

    def _ending_of(self, job: LiveJob, outcome: Outcome) -> tuple[Ending, int | None]:
        """Return how an attempt ended, and the MiB to try next where it had too little memory of a card."""
        if outcome.ending is not Ending.OUT_OF_VRAM:
            return outcome.ending, None
        if held_by(job) is None:
            return Ending.CAPACITY, None
        most_mib = largest_for(self.fleet, self.ledger, sort_of(job))
        return outcome.ending, self.footprints.more_mib(job, outcome.peak_vram_mib, most_mib)
