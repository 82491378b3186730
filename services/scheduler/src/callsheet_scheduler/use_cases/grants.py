"""What workers say and hear: hellos, results, and the leases they hold."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from callsheet.catalog import CATALOG
from callsheet.errors import InvalidError, UnavailableError
from callsheet.service import telemetry
from callsheet.service.spans import Facts
from callsheet_scheduler.domain.effects import Brought, NewRow, Output, SendGrant
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import JobId, LiveJob, Token, WorkerId, term_of
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.library import LibraryChanges, check_path, check_root
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.ties import waits_for
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.outlets import Outbox
from callsheet_scheduler.store.job_types import save_job_types
from callsheet_scheduler.store.queue import LogRow
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import Jobs, Submission
from callsheet_scheduler.use_cases.ties import check_needs

log = logging.getLogger(__name__)

#: Follow-up jobs, children and outputs of one result.
FOLLOW_UPS_MAX: Final = 1000
OUTPUTS_MAX: Final = 100

#: Jobs that one job may yield to, all its attempts together.
CHILDREN_MAX: Final = 10_000

#: Characters of a result, of a checkpoint, and of a reason.
RESULT_MAX: Final = 65_536
CHECKPOINT_MAX: Final = 65_536
REASON_MAX: Final = 2000


class Attempt(NamedTuple):
    """A lease as a worker names it, and when its attempt began and ended."""

    job_id: JobId
    token: Token
    started_at: float | None
    ended_at: float

    def span(self, now: float) -> tuple[float | None, float]:
        """Return both instants, not later than *now* and in order, whatever the worker's clock said."""
        ended_at = min(now, self.ended_at)
        started_at = self.started_at
        return (started_at if started_at is None or started_at < ended_at else ended_at, ended_at)


class Completion(NamedTuple):
    """What a worker brings that did what it was asked for."""

    result: str = ""
    """A JSON object."""
    library: LibraryChanges | None = None
    follow_ups: Sequence[Submission] = ()
    outputs: Sequence[Output] = ()
    peak_vram_mib: int = 0
    """The most GPU memory that it held, as measured; 0 if it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One worker's stay on its stream."""

    number: int
    worker_id: WorkerId
    term: Term

    @property
    def who(self) -> tuple[WorkerId, int]:
        """Identity and session, as the engine wants them."""
        return (self.worker_id, self.number)


class Grants:
    """Opens and closes sessions, and passes on what workers say."""

    def __init__(self, leadership: Leadership, types: JobTypes, jobs: Jobs) -> None:
        self._leadership = leadership
        self._types = types
        self._jobs = jobs
        self._number = 0

    async def open(
        self,
        capability: Capability,
        offers: Sequence[KnownType],
        credit: int,
        held: Sequence[tuple[JobId, Token]],
        outbox: Outbox,
    ) -> tuple[Session, list[tuple[JobId, Token]]]:
        """Open a session; return it and the leases named that are no longer the worker's.

        Raises:
            UnavailableError: A later leadership granted one of *held*: this one is over, and knows
                nothing of what that lease is worth.
        """
        term = self._leadership.current()
        if any(term_of(token) > term.number for _, token in held):
            term.commits.step_down("a worker holds a lease of a later leadership")
            raise UnavailableError("another scheduler leads; connect again")
        await self._keep(term, offers)
        self._number += 1
        session = Session(number=self._number, worker_id=capability.id, term=term)
        term.commits.outboxes[session.number] = outbox
        now = term.commits.now()
        stale = term.engine.hello(capability, session.number, credit, held, now)
        term.commits.flush()
        log.info("a worker came", extra={"worker": capability.id, "slots": capability.slots})
        return session, stale

    async def _keep(self, term: Term, offers: Sequence[KnownType]) -> None:
        """Write the types that a worker brings where this leadership has not, then let them be known."""
        brought = {offer.name: offer for offer in offers if offer.name not in CATALOG}
        for offer in brought.values():
            self._types.check(offer)
        unsaved = [offer for name, offer in brought.items() if term.saved_types.get(name) != offer]
        if unsaved:
            await term.write_control(lambda connection: save_job_types(connection, unsaved))
            term.saved_types.update({offer.name: offer for offer in unsaved})
        for offer in brought.values():
            self._types.learn(offer)

    def close(self, session: Session, *, for_good: bool) -> None:
        """End a session; *for_good* when the worker said goodbye."""
        commits = session.term.commits
        commits.outboxes.pop(session.number, None)
        if for_good:
            session.term.engine.goodbye(session.worker_id, session.number, commits.now())
        session.term.engine.session_closed(session.worker_id, session.number, commits.now())
        commits.flush()
        log.info("a worker went", extra={"worker": session.worker_id, "for_good": for_good})

    def add_logs(self, session: Session, chunks: Sequence[tuple[JobId, Token, int, str]]) -> None:
        """Keep log text of attempts; those whose leases have ended are found by their tokens."""
        engine = session.term.engine
        session.term.commits.add_logs(
            [
                LogRow(
                    job_id,
                    engine.attempt_of(session.worker_id, job_id, token) or 0,
                    sequence,
                    text.replace("\x00", "\ufffd"),
                    token,
                )
                for job_id, token, sequence, text in chunks
            ]
        )

    def completed(self, session: Session, attempt: Attempt, brought: Completion, now: float) -> None:
        """A worker did what it was asked for. Content that is not acceptable fails the job."""
        engine = session.term.engine
        lease, span = (attempt.job_id, attempt.token), attempt.span(now)
        follow_ups: Sequence[NewRow] = ()
        try:
            _check_result(brought.result)
            if brought.outputs:
                _check_outputs(attempt, brought.outputs)
            if brought.follow_ups:
                follow_ups = self._follow_ups(
                    session.term, attempt.job_id, brought.follow_ups, now, field="follow_ups"
                )
        except InvalidError as error:
            engine.ended(session.who, lease, _refused(error), span=span, now=now)
            return
        engine.completed(
            session.who,
            lease,
            Brought(
                brought.result or "{}",
                brought.library,
                follow_ups,
                brought.outputs,
                brought.peak_vram_mib,
            ),
            span=span,
        )

    def yielded(
        self,
        session: Session,
        attempt: Attempt,
        outcome: Outcome,
        children: Sequence[Submission],
        now: float,
    ) -> None:
        """An attempt gave way to other jobs. Those that are not acceptable fail the job."""
        engine, job_id = session.term.engine, attempt.job_id
        lease, span = (job_id, attempt.token), attempt.span(now)
        try:
            _check_checkpoint(outcome.checkpoint)
            rows = self._follow_ups(session.term, job_id, children, now, field="children")
            _check_children(job_id, rows, engine.queue.jobs)
        except InvalidError as error:
            engine.ended(session.who, lease, _refused(error), span=span, now=now)
            return
        engine.yielded(session.who, lease, outcome, rows, span=span, now=now)

    def ended(self, session: Session, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """An attempt failed, was paused, or was handed back."""
        try:
            _check_checkpoint(outcome.checkpoint)
        except InvalidError as error:
            outcome = _refused(error)
        reason = outcome.reason.replace("\x00", "\ufffd")[:REASON_MAX]
        session.term.engine.ended(
            session.who,
            (attempt.job_id, attempt.token),
            replace(outcome, reason=reason),
            span=attempt.span(now),
            now=now,
        )

    def placed(self, session: Session, output: Output, problem: str) -> None:
        """A worker put an output where it was asked for, or says why it cannot."""
        session.term.engine.placed(output, problem.replace("\x00", "\ufffd")[:REASON_MAX])

    def run_limit_s(self, job_type: str) -> int:
        """Return how long an attempt of *job_type* may run."""
        return self._types.get(job_type, field="type").run_limit_s

    def tell_waited(self, grant: SendGrant) -> None:
        """Tell whoever traces a job how long it waited for the lease that it gets now."""
        job = grant.job
        if job.trace is not None and job.host is not None and grant.attempt == 1:
            now = self._leadership.current().commits.now()
            facts: Facts = {
                "job.id": job.id,
                "job.type": job.type,
                "lease": grant.token,
                "host": job.host,
            }
            telemetry.past("wait for a lease", job.trace, max(job.created_at, job.run_at or 0.0), now, facts)

    def _follow_ups(
        self,
        term: Term,
        parent: JobId,
        follow_ups: Sequence[Submission],
        now: float,
        *,
        field: str,
    ) -> list[NewRow]:
        """Return the checked jobs; some may live already."""
        if not follow_ups:
            return []
        if len(follow_ups) > FOLLOW_UPS_MAX:
            message = f"{len(follow_ups)} jobs; at most {FOLLOW_UPS_MAX} are allowed"
            raise InvalidError(message, field=field)
        giver = term.engine.queue.jobs.get(parent)
        rows: dict[JobId, NewRow] = {}
        for index, submission in enumerate(follow_ups):
            row = self._jobs.row_of(submission, term, now, field=field, index=index)
            row.job.parent_id = parent
            row.job.collection = None if giver is None else giver.collection
            row.job.submitted_by = None if giver is None else giver.submitted_by
            row.job.trace = None if giver is None else giver.trace
            rows[row.job.id] = row
        check_needs(rows, term.engine.queue.jobs, field=field)
        return list(rows.values())


def _refused(error: InvalidError) -> Outcome:
    return Outcome(ending=Ending.BAD_INPUT, reason=f"The result was refused: {error.field}: {error.message}")


def _check_children(parent: JobId, rows: Sequence[NewRow], live: Mapping[JobId, LiveJob]) -> None:
    if not rows:
        message = "there are none; complete the job instead"
        raise InvalidError(message, field="children")
    job = live.get(parent)
    earlier = len(job.ties.children) if job is not None and job.ties is not None else 0
    if earlier + len(rows) > CHILDREN_MAX:
        message = f"{earlier} and {len(rows)} more; a job may yield to at most {CHILDREN_MAX}"
        raise InvalidError(message, field="children")
    if (circular := waits_for(parent, [row.job for row in rows], live)) is not None:
        message = f"the job {circular} waits for the job that yields to it"
        raise InvalidError(message, field="children")


def _check_result(result: str) -> None:
    if len(result) > RESULT_MAX:
        message = f"has {len(result)} characters; at most {RESULT_MAX} are allowed"
        raise InvalidError(message, field="result_json")


def _check_checkpoint(checkpoint: str | None) -> None:
    if checkpoint is None:
        return
    if len(checkpoint) > CHECKPOINT_MAX:
        message = f"has {len(checkpoint)} characters; at most {CHECKPOINT_MAX} are allowed"
        raise InvalidError(message, field="checkpoint_json")
    try:
        value: object = json.loads(checkpoint)
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}"
        raise InvalidError(message, field="checkpoint_json") from error
    if not isinstance(value, dict) or "\\u0000" in checkpoint:
        message = "must be a JSON object without NUL characters"
        raise InvalidError(message, field="checkpoint_json")


def _check_outputs(attempt: Attempt, outputs: Sequence[Output]) -> None:
    if len(outputs) > OUTPUTS_MAX:
        message = f"{len(outputs)} outputs; at most {OUTPUTS_MAX} are allowed"
        raise InvalidError(message, field="outputs")
    for index, output in enumerate(outputs):
        field = f"outputs[{index}]"
        if (output.job_id, output.token) != (attempt.job_id, attempt.token):
            message = "must name the lease of the result"
            raise InvalidError(message, field=f"{field}.lease")
        check_root(output.root, field=f"{field}.root")
        check_path(output.staged_path, field=f"{field}.staged_path")
        check_path(output.path, field=f"{field}.path")
