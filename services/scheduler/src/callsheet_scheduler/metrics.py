"""What the scheduler counts as it commits. What its memory holds is read in `queue_metrics`."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import Counter, Histogram

from callsheet_scheduler.domain.desk import OUTCOME_WORDS
from callsheet_scheduler.domain.effects import FinishJob, GrantLease, InsertJobs, ReleaseLease, TurnEffect
from callsheet_scheduler.domain.job import LEASED, JobState, LiveJob

HISTORY_FAILURES: Final = Counter(
    "callsheet_history_failures", "Rounds that failed in which days of history are made and dropped."
)

INBOX_ROWS: Final = Counter(
    "callsheet_inbox_rows",
    "Rows taken out of the inbox, by what they became: job, known, failed.",
    ["became"],
)

JOBS: Final = Counter(
    "media_jobs",
    "Jobs that came to a status: pending is a job created, the others are its end. Shown as _total.",
    ["type", "status"],
)

WAIT_SECONDS: Final = Histogram(
    "callsheet_job_wait_seconds",
    "Seconds from when a job could have run to its first lease; jobs that need others are left out.",
    ["category"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)

RUN_SECONDS: Final = Histogram(
    "callsheet_job_run_seconds",
    "Seconds that the last attempt of a job ran which ended.",
    ["type"],
    buckets=(0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)

ATTEMPTS_RELEASED: Final = Counter(
    "callsheet_attempts_released",
    "Attempts after which the job waits again or is paused: failed, returned, yielded, paused, expired.",
    ["outcome"],
)

#: Each is there from the start, so that the first is an increase.
for _outcome in ("failed", *OUTCOME_WORDS.values()):
    ATTEMPTS_RELEASED.labels(_outcome)

COMMIT_SECONDS: Final = Histogram(
    "callsheet_commit_seconds",
    "Seconds that the database took for a transaction, by lane: intake, turn, logs.",
    ["lane"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

COMMIT_BATCH: Final = Histogram(
    "callsheet_commit_batch",
    "What rode in one transaction: submissions, changes of jobs, or pieces of log text.",
    ["lane"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
)

LEDGER_MENDED: Final = Counter(
    "callsheet_ledger_mended",
    "Times that a new leader found the ledger of the GPUs not to be the sum of the live leases.",
)


def count_inserted(batch: Sequence[InsertJobs], now: float) -> None:
    """Count submissions that are durable."""
    _created(row.job for effect in batch for row in effect.rows)
    for effect in batch:
        for row in effect.rows:
            if row.job.id in effect.session:
                _granted(row.job, now)


def count_turn(batch: Iterable[TurnEffect], now: float) -> None:
    """Count what a durable turn did, before the engine forgets how it was."""
    ended: Tally[tuple[str, str]] = Tally()
    created: list[LiveJob] = []
    for effect in batch:
        match effect:
            case GrantLease(job=job):
                _granted(job, now)
            case FinishJob(job=job):
                ended[job.type, effect.state.name.lower()] += 1
                created += [row.job for row in effect.follow_ups]
                if effect.was in LEASED and job.started_at is not None:
                    RUN_SECONDS.labels(job.type).observe(effect.run_ms / 1000)
            case ReleaseLease():
                ATTEMPTS_RELEASED.labels(effect.outcome).inc()
                created += [row.job for row in effect.follow_ups]
            case _:
                pass
    _created(created)
    for (job_type, status), jobs in ended.items():
        JOBS.labels(job_type, status).inc(jobs)


def _created(jobs: Iterable[LiveJob]) -> None:
    for job_type, count in Tally(job.type for job in jobs).items():
        JOBS.labels(job_type, JobState.PENDING.name.lower()).inc(count)


def _granted(job: LiveJob, now: float) -> None:
    if job.attempt == 1 and (job.ties is None or not job.ties.needs):
        wait_s = now - max(job.created_at, job.run_at or 0.0)
        WAIT_SECONDS.labels(job.category.name.lower()).observe(max(0.0, wait_s))
