"""Accepting jobs."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet.errors import ConflictError, InvalidError, OverloadedError
from callsheet.ids import check_id, new_job_id
from callsheet.service import telemetry
from callsheet_scheduler.domain.effects import NewRow, Taken
from callsheet_scheduler.domain.job import (
    FINAL,
    PRIORITY_DEFAULT,
    RETRIES_DEFAULT,
    IfFails,
    JobId,
    JobState,
    LiveJob,
)
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.queue import DoneJob
from callsheet_scheduler.store.records import ReadDone
from callsheet_scheduler.store.sizes import ReadSizes
from callsheet_scheduler.use_cases.collections import check_slug, make_known
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.ties import needed_by, tie, ties_of

#: Jobs of one submission.
SUBMISSION_MAX: Final = 1000

#: Bytes of submissions that may wait for the database at once, and what a job has beside its parameters.
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
ROW_BYTES: Final = 512

PRIORITY_MAX: Final = 10
RETRIES_MAX: Final = 20
VRAM_MIB_MAX: Final = 1 << 24
SUBMITTER_MAX: Final = 300

#: How far the instant in a job's id may lie from the database's clock, in seconds.
ID_AGE_MAX_S: Final = 24 * 3600.0
ID_AHEAD_MAX_S: Final = 300.0


class Submission(NamedTuple):
    """A job as somebody asks for it."""

    type: str
    id: str = ""
    """Empty to have one chosen."""
    params: str = ""
    priority: int = 0
    """0 for the default."""
    category: Category | None = None
    vram_mib: int | None = None
    max_retries: int | None = None
    run_at: float | None = None
    interactive: bool = False
    parent_id: str = ""
    collection: str = ""
    submitted_by: str = ""
    depends_on: tuple[str, ...] = ()
    if_dependency_fails: IfFails = IfFails.FAIL
    unique_key: str = ""


class Accepted(NamedTuple):
    """What became of a submission."""

    id: JobId
    state: JobState
    created_at: float
    existed: bool = False


class Jobs:
    """Takes submissions."""

    def __init__(
        self, leadership: Leadership, types: JobTypes, read_done: ReadDone, read_sizes: ReadSizes
    ) -> None:
        self._leadership = leadership
        self._types = types
        self._read_done = read_done
        self._read_sizes = read_sizes
        self._waiting_bytes = 0

    async def submit(
        self, submissions: Sequence[Submission], *, taken: Taken | None = None
    ) -> list[Accepted]:
        """Accept all of *submissions* or none, and answer after the commit.

        *taken* is the row of the inbox that asks for them; where they become or are jobs it goes with it.

        Raises:
            InvalidError: One is not acceptable; names its field.
            ConflictError: An id belongs to another job.
            OverloadedError: The queue is full, or too much waits to be written.
        """
        if not 0 < len(submissions) <= SUBMISSION_MAX:
            message = f"{len(submissions)} jobs in one submission; 1 to {SUBMISSION_MAX} are allowed"
            raise InvalidError(message, field="jobs")
        term = self._leadership.current()
        engine = term.engine
        if len(engine.queue.jobs) + len(submissions) > engine.rules.live_jobs_max:
            message = f"the queue holds its maximum of {engine.rules.live_jobs_max} jobs"
            raise OverloadedError(message, retry_after_s=5.0)
        await make_known(term, {one.collection for one in submissions})
        sizes = await self._sizes(submissions)
        ended: dict[JobId, JobState] = {}
        durable: set[JobId] = set()
        while True:
            rows, answers = self._sorted_out(submissions, term, sizes)
            needed = needed_by(rows)
            old = (answer.id for answer in answers if isinstance(answer, Accepted))
            told = [*old, *(one for one in needed if one not in durable)]
            known = (engine.queue.jobs.get(job_id) for job_id in told)
            busy = [job.id for job in known if job is not None and job.busy]
            past = [one for one in needed if one not in engine.queue.jobs and one not in ended]
            if not busy and not past:
                break
            for job_id in busy:
                await term.commits.settled(job_id)
                durable.add(job_id)
            ended |= await self._past(past)
        tie(rows, engine.queue.jobs, ended)
        # Nothing comes between the look at what lives and the insertion.
        done = await self._insert(term, list(rows.values()), taken) if rows or taken else {}
        return [_accepted(answer, done) for answer in answers]

    def _sorted_out(
        self, submissions: Sequence[Submission], term: Term, sizes: Sequence[int | None]
    ) -> tuple[dict[JobId, NewRow], list[Accepted | LiveJob]]:
        """Return the jobs that are new, and for each submission its new job or the one that lives."""
        now, queue = term.commits.now(), term.engine.queue
        rows: dict[JobId, NewRow] = {}
        keys: dict[str, LiveJob] = {}
        answers: list[Accepted | LiveJob] = []
        for index, submission in enumerate(submissions):
            row = self.row_of(submission, term, now, field="jobs", index=index, size=sizes[index])
            known = queue.jobs.get(row.job.id)
            if known is None and (twin := rows.get(row.job.id)) is not None:
                known = twin.job
            if known is not None:
                answers.append(_same(known, row.job))
                continue
            key = submission.unique_key
            if key and (holder := keys.get(key) or queue.jobs.get(queue.knots.holder(key) or row.job.id)):
                answers.append(Accepted(holder.id, holder.state, holder.created_at, existed=True))
                continue
            keys[key] = row.job
            rows[row.job.id] = row
            answers.append(row.job)
        return rows, answers

    async def _sizes(self, submissions: Sequence[Submission]) -> Sequence[int | None]:
        """Return the size classes of those that an item sizes; for others nothing is looked up."""
        items = [self._types.sizing_item(one.type, one.params) for one in submissions]
        wanted = {item for item in items if item is not None}
        if not wanted:
            return [None] * len(items)
        found = await self._read_sizes(wanted)
        return [None if item is None else found.get(item) for item in items]

    async def _past(self, ids: Sequence[JobId]) -> dict[JobId, JobState]:
        """Return the states of jobs that are not live.

        Raises:
            InvalidError: There is no such job.
        """
        if not ids:
            return {}
        found = {job_id: state for job_id, (_, state) in (await self._read_done(ids)).items()}
        if missing := [job_id for job_id in ids if job_id not in found]:
            message = f"there is no job {missing[0]}: it never was, or its history has been dropped"
            raise InvalidError(message, field="depends_on")
        return found

    async def _insert(self, term: Term, rows: list[NewRow], taken: Taken | None) -> dict[JobId, DoneJob]:
        size_bytes = sum(ROW_BYTES + len(row.params) for row in rows)
        if self._waiting_bytes and self._waiting_bytes + size_bytes > WAITING_BYTES_MAX:
            raise OverloadedError("too many submissions wait to be written; come back in a moment")
        self._waiting_bytes += size_bytes
        try:
            return await term.commits.submit(rows, taken=taken)
        finally:
            self._waiting_bytes -= size_bytes

    def row_of(
        self,
        submission: Submission,
        term: Term,
        now: float,
        *,
        field: str,
        index: int | None = None,
        size: int | None = None,
    ) -> NewRow:
        """Return the checked job that *submission* asks for, with the *size* class of its item.

        Raises:
            InvalidError: It is not acceptable; names the field below *field*, or below its *index*.
        """
        try:
            return self._checked(submission, term, now, size)
        except InvalidError as error:
            where = field if index is None else f"{field}[{index}]"
            raise InvalidError(error.message, field=f"{where}.{error.field}") from error

    def _checked(self, submission: Submission, term: Term, now: float, size: int | None) -> NewRow:
        known = self._types.get(submission.type, field="type")
        params = self._types.check_params(submission.type, submission.params, field="params")
        priority = submission.priority or PRIORITY_DEFAULT
        if submission.priority:
            _check_range(priority, 1, PRIORITY_MAX, field="priority")
        retries = RETRIES_DEFAULT if submission.max_retries is None else submission.max_retries
        if submission.max_retries is not None:
            _check_range(retries, 0, RETRIES_MAX, field="max_retries")
        if submission.category is not None and submission.category is not known.category:
            message = f"{submission.type} runs in the category {known.category.name.lower()} only"
            raise InvalidError(message, field="resource_category")
        vram_mib = known.vram_mib if submission.vram_mib is None else submission.vram_mib
        if submission.vram_mib is not None:
            most_mib = known.vram_mib if known.category is Category.CPU else VRAM_MIB_MAX
            _check_range(vram_mib, known.vram_mib, most_mib, field="vram_required")
        job_id = id_of_new(submission.id, term, now, field="id")
        if submission.collection:
            check_slug(submission.collection, field="collection")
        if len(submission.submitted_by) > SUBMITTER_MAX or "\x00" in submission.submitted_by:
            message = f"must have at most {SUBMITTER_MAX} characters, and no NUL"
            raise InvalidError(message, field="submitted_by")
        parent_id = check_id(submission.parent_id, "parent_id") if submission.parent_id else None
        parent = None if parent_id is None else term.engine.queue.jobs.get(JobId(parent_id))
        job = LiveJob(
            id=job_id,
            sequence=term.engine.next_sequence(),
            type=submission.type,
            category=known.category,
            priority=priority,
            interactive=submission.interactive,
            vram_mib=vram_mib,
            max_retries=retries,
            request_hash=_hash(submission, params.text),
            parent_id=None if parent_id is None else JobId(parent_id),
            created_at=now,
            run_at=submission.run_at,
            root=params.root,
            ties=ties_of(submission, job_id) if submission.depends_on or submission.unique_key else None,
            collection=submission.collection or (parent.collection if parent else None),
            submitted_by=submission.submitted_by or (parent.submitted_by if parent else None),
            trace=telemetry.traceparent() or (parent.trace if parent else None),
            size_class=size if params.size_class is None else params.size_class,
        )
        if known.learns_vram:
            job.vram_mib = term.engine.learned_mib(job, now, asked=submission.vram_mib is not None)
        return NewRow(job=job, params=params.text)


def _same(known: LiveJob, asked: LiveJob) -> Accepted:
    if known.request_hash != asked.request_hash:
        message = f"the id {asked.id} belongs to another job"
        raise ConflictError(message)
    return Accepted(id=known.id, state=known.state, created_at=known.created_at, existed=True)


def _accepted(answer: Accepted | LiveJob, done: dict[JobId, DoneJob]) -> Accepted:
    if isinstance(answer, Accepted):
        return answer
    known = done.get(answer.id)
    if known is not None:
        return Accepted(id=answer.id, state=known.state, created_at=known.created_at, existed=True)
    state = JobState.QUEUED if answer.state is JobState.RUNNING else answer.state
    return Accepted(
        id=answer.id,
        state=JobState.QUEUED if state in FINAL else state,
        created_at=answer.created_at,
    )


def _check_range(value: int, low: int, high: int, *, field: str) -> None:
    if not low <= value <= high:
        message = f"must be from {low} to {high}, not {value}"
        raise InvalidError(message, field=field)


def id_of_new(text: str, term: Term, now: float, *, field: str) -> JobId:
    """Return the id of a new job, a fresh one for no *text*.

    Raises:
        InvalidError: It is no id of now.
        UnavailableError: Its day has no tables.
    """
    job_id = JobId(check_id(text, field) if text else new_job_id())
    if text and (job_id[14] != "7" or not now - ID_AGE_MAX_S <= _instant_of(job_id) <= now + ID_AHEAD_MAX_S):
        message = "must be a UUIDv7 made in the last 24 hours by a clock that is right"
        raise InvalidError(message, field=field)
    term.days.check_new(job_id)
    return job_id


def is_too_old(job_id: str, now: float) -> bool:
    """Return whether an id of a job would have been accepted earlier; an empty one never was."""
    return job_id[14:15] == "7" and _instant_of(job_id) < now - ID_AGE_MAX_S


def _instant_of(job_id: str) -> float:
    """Return the instant in a UUIDv7."""
    return int(job_id[:8] + job_id[9:13], 16) / 1000


def _hash(submission: Submission, params: str) -> int:
    parts: tuple[object, ...] = (
        submission.type,
        params,
        submission.priority,
        submission.category,
        submission.vram_mib,
        submission.max_retries,
        submission.run_at,
        submission.interactive,
        submission.parent_id,
    )
    if submission.depends_on or submission.unique_key:
        parts = (*parts, submission[-3:])
    if submission.collection:
        parts = (*parts, submission.collection)
    if submission.submitted_by:
        parts = (*parts, ("by", submission.submitted_by))
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big", signed=True)
