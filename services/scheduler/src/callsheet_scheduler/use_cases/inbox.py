"""Makes jobs of what applications leave in the inbox inside transactions of their own."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from callsheet.catalog import Category
from callsheet.errors import CallsheetError, InvalidError, OverloadedError, UnavailableError
from callsheet.ids import new_job_id
from callsheet_scheduler.domain.effects import Taken, Unfit
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.metrics import INBOX_ROWS
from callsheet_scheduler.store.inbox import InboxRow, read_inbox
from callsheet_scheduler.store.records import ReadDone
from callsheet_scheduler.use_cases.job_types import PARAMS_BYTES_MAX, JobTypes
from callsheet_scheduler.use_cases.jobs import Jobs, Submission, id_of_new, is_too_old

log = logging.getLogger(__name__)

#: Rows that are read together. They share the transactions of the intake lane with other submissions; one has
#: room for more than twice as many, so a flood of rows keeps nobody else waiting.
ROWS_MAX: Final = 200

#: Seconds since 1970 at which the year 10000 begins: what lies behind cannot be written as a date.
YEAR_10000: Final = 253_402_300_800.0


class Inbox:
    """Called again and again while this process leads.

    A row is taken out in the transaction that inserts its job, so it becomes one job whatever happens.
    """

    def __init__(self, leadership: Leadership, jobs: Jobs, types: JobTypes, read_done: ReadDone) -> None:
        self._leadership = leadership
        self._jobs = jobs
        self._types = types
        self._read_done = read_done

    async def take(self) -> bool:
        """Make jobs of the oldest rows; return whether there may be more that can be taken at once.

        Raises:
            UnavailableError: The leadership is over, or the database has no tables for a row's day.
        """
        term = self._leadership.current()
        if term.engine.halted:
            return False
        rows = await term.write_control(
            lambda connection: read_inbox(connection, limit=ROWS_MAX, params_bytes_max=PARAMS_BYTES_MAX)
        )
        for wave in _waves(rows):
            outcomes = await asyncio.gather(*(self._take(term, row) for row in wave), return_exceptions=True)
            faults = [one for one in outcomes if isinstance(one, BaseException)]
            for fault in faults:
                if not isinstance(fault, OverloadedError):
                    raise fault
            if faults:
                return False
        return len(rows) == ROWS_MAX

    async def _take(self, term: Term, row: InboxRow) -> None:
        """Make one row a job, or a failed one.

        Raises:
            OverloadedError: It stays where it is for now, or it was withdrawn.
        """
        try:
            existed = await self._make(term, row)
        except (OverloadedError, UnavailableError):
            raise
        except CallsheetError as error:
            unfit = self._unfit(term, row, _sentence(error))
            log.warning(
                "a row of the inbox is no acceptable job: %s", unfit.error, extra={"number": row.number}
            )
            await term.commits.submit([], taken=Taken(row.number, unfit))
            INBOX_ROWS.labels("failed").inc()
        else:
            INBOX_ROWS.labels("known" if existed else "job").inc()

    async def _make(self, term: Term, row: InboxRow) -> bool:
        """Make one row a job; return whether there was such a job before.

        A row that waited too long for a scheduler gets an id of now, unless its own has become a job.
        """
        submission = _submission(row)
        if is_too_old(row.id, term.commits.now()):
            own = JobId(row.id)
            if own in term.engine.queue.jobs or await self._read_done([own]):
                await term.commits.submit([], taken=Taken(row.number))
                return True
            submission = submission._replace(id="")
        [accepted] = await self._jobs.submit([submission], taken=Taken(row.number))
        return accepted.existed

    def _unfit(self, term: Term, row: InboxRow, error: str) -> Unfit:
        now = term.commits.now()
        spare = id_of_new("", term, now, field="id")
        try:
            own = id_of_new(row.id, term, now, field="id")
        except InvalidError:
            own = spare
        known = self._types.find(row.type)
        return Unfit(
            ids=(own, spare if spare != own else JobId(new_job_id())),
            sequence=term.engine.next_sequence(),
            type=row.type,
            category=Category.CPU if known is None else known.category,
            params=row.params or "{}",
            error=f"The inbox had no acceptable job: {error}",
            at=now,
        )


def _waves(rows: Sequence[InboxRow]) -> Iterator[Sequence[InboxRow]]:
    """Yield *rows* in parts of which none needs another of its own part, so that those it needs are there."""
    first = 0
    ids: set[str] = set()
    for index, row in enumerate(rows):
        if not ids.isdisjoint(row.depends_on):
            yield rows[first:index]
            first = index
            ids = set()
        ids.add(row.id)
    if rows:
        yield rows[first:]


def _submission(row: InboxRow) -> Submission:
    """Return what is asked for.

    Raises:
        InvalidError: It cannot be said.
    """
    if row.params is None:
        message = f"have more than {PARAMS_BYTES_MAX:,} bytes"
        raise InvalidError(message, field="params")
    if row.priority == 0:
        message = "must be from 1 to 10, not 0"
        raise InvalidError(message, field="priority")
    if row.run_at is not None and not 0 <= row.run_at < YEAR_10000:
        message = "must be an instant from the year 1970 to the year 9999"
        raise InvalidError(message, field="run_at")
    return Submission(
        id=row.id,
        type=row.type,
        params=row.params,
        priority=row.priority or 0,
        interactive=row.interactive,
        vram_mib=row.vram_mib,
        max_retries=row.max_retries,
        run_at=row.run_at,
        depends_on=tuple(row.depends_on),
        unique_key=row.unique_key,
        collection=row.collection,
    )


def _sentence(error: CallsheetError) -> str:
    field = (error.field if isinstance(error, InvalidError) else "").removeprefix("jobs[0]").removeprefix(".")
    return f"{field}: {error.message}" if field else error.message
