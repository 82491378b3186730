"""Writes submissions, and answers those who wait for them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from callsheet.errors import CallsheetError, ConflictError, InvalidError, OverloadedError
from callsheet_scheduler.commit_lane import EXHAUSTED_PAUSE_S, Ledge
from callsheet_scheduler.domain.effects import InsertJobs, NewRow, Taken
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.metrics import count_inserted
from callsheet_scheduler.outlets import Tables
from callsheet_scheduler.store.errors import WithdrawnError
from callsheet_scheduler.store.queue import DoneJob

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Submission:
    """One call that waits for its jobs."""

    future: asyncio.Future[dict[JobId, DoneJob]]
    known: dict[JobId, DoneJob] = field(default_factory=dict[JobId, DoneJob])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the lane of submissions is told of, and tells."""

    engine: Engine
    tables: Tables
    now: Callable[[], float]
    flush: Callable[[], None]
    """Takes what the engine wants written or sent."""
    resolve: Callable[[Iterable[JobId]], None]
    """Wakes who waits for the end of a statement about jobs."""


class IntakeLedge(Ledge[InsertJobs]):
    """Submissions, each written whole or not at all."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._submissions: dict[int, _Submission] = {}
        self._request = 0

    async def submit(self, rows: list[NewRow], taken: Taken | None) -> dict[JobId, DoneJob]:
        """Insert jobs and wait for the commit, as ``Commits.submit`` tells."""
        around = self._around
        if around.engine.halted:
            raise _overload()
        self._request += 1
        request = self._request
        submission = _Submission(asyncio.get_running_loop().create_future())
        self._submissions[request] = submission
        around.engine.submit(request, rows, around.now(), taken=taken)
        around.flush()
        try:
            return await submission.future
        finally:
            self._submissions.pop(request, None)

    def give_up(self, error: Exception) -> None:
        """Let everybody who waits fail with *error*."""
        for submission in self._submissions.values():
            if not submission.future.done():
                submission.future.set_exception(error)
                submission.future.exception()

    # ---- what the lane calls ----

    @override
    def weigh(self, item: InsertJobs) -> tuple[int, int]:
        unfit = item.taken.unfit if item.taken is not None else None
        texts = sum(len(row.params) for row in item.rows) + (len(unfit.params) if unfit is not None else 0)
        return max(len(item.rows), 1), texts

    @override
    async def write(self, batch: Sequence[InsertJobs]) -> None:
        while True:
            rows = [row for effect in batch for row in effect.rows]
            taken = [effect.taken for effect in batch if effect.taken is not None]
            if not rows and not taken:
                return
            try:
                done = await self._around.tables.insert(rows, taken)
            except WithdrawnError as withdrawn:
                for effect in batch:
                    if effect.taken is not None and effect.taken.number in withdrawn.numbers:
                        self._withdraw(effect)
                continue
            if not done:
                return
            for effect in batch:
                self._take_out(effect, done)

    @override
    def committed(self, batch: Sequence[InsertJobs]) -> None:
        around = self._around
        count_inserted(batch, around.now(), around.engine.waits)
        around.engine.inserted([effect for effect in batch if effect.rows or effect.taken], around.now())
        for effect in batch:
            self._answer(effect, None)
        around.flush()

    @override
    def refused(self, item: InsertJobs, reason: str) -> None:
        self._drop(item, InvalidError(reason, field="jobs"))
        self._around.flush()

    @override
    def exhausted(self, item: InsertJobs, reason: str) -> bool:
        log.error("a submission was refused: %s", reason)
        self._drop(item, _overload())
        self._around.flush()
        return False

    # ---- answers ----

    def _answer(self, effect: InsertJobs, error: CallsheetError | None) -> None:
        """Answer a submission, and wake who waits for its jobs."""
        submission = self._submissions.get(effect.request)
        if submission is not None and not submission.future.done():
            if error is None:
                submission.future.set_result(submission.known)
            else:
                submission.future.set_exception(error)
        self._around.resolve(row.job.id for row in effect.rows)

    def _drop(self, effect: InsertJobs, error: CallsheetError) -> None:
        """Take a submission back as a whole."""
        self._around.engine.insert_refused(effect, self._around.now())
        self._answer(effect, error)

    def _withdraw(self, effect: InsertJobs) -> None:
        """Leave out what was asked for by a row of the inbox that is not there."""
        self._drop(effect, OverloadedError("the row of the inbox was withdrawn, or is being changed"))
        effect.rows, effect.taken = [], None

    def _take_out(self, effect: InsertJobs, done: Mapping[JobId, DoneJob]) -> None:
        """Take out of a submission what is in history already; all of it where that is another job."""
        known = [row for row in effect.rows if row.job.id in done]
        clash = next((row for row in known if done[row.job.id].request_hash != row.job.request_hash), None)
        gone = list(effect.rows) if clash else known
        if not gone:
            return
        refused = InsertJobs(request=effect.request, rows=gone, session=effect.session)
        self._around.engine.insert_refused(
            refused, self._around.now(), {job_id: one.state for job_id, one in done.items()}
        )
        if clash is not None:
            self._answer(effect, ConflictError(f"the id {clash.job.id} belongs to another job"))
            effect.rows, effect.taken = [], None
            return
        effect.rows = [row for row in effect.rows if row.job.id not in done]
        self._around.resolve(row.job.id for row in known)
        submission = self._submissions.get(effect.request)
        if submission is not None:
            submission.known |= {row.job.id: done[row.job.id] for row in known}


def _overload() -> OverloadedError:
    return OverloadedError(
        "the database takes nothing more at present: see its disk and memory",
        retry_after_s=EXHAUSTED_PAUSE_S,
    )
