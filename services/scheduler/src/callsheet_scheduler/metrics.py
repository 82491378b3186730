"""What the scheduler counts as it commits. What its memory holds is read in `queue_metrics`."""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet.catalog import Category
from callsheet_scheduler.domain.effects import FinishJob, GrantLease, InsertJobs, ReleaseLease, TurnEffect
from callsheet_scheduler.domain.job import FINAL, LEASED, JobState, LiveJob
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.outcome import OUTCOME_WORDS
from callsheet_scheduler.domain.waits import Waits, wait_s_of


class Spread(Collector):
    """A histogram for what is counted with every job: many values at once, which is cheaper."""

    def __init__(self, name: str, text: str, labels: Sequence[str], *, bounds: Sequence[float]) -> None:
        """Register a histogram with one label; *bounds* are the upper ends of its buckets but the last."""
        self._name, self._text, self._labels = name, text, labels
        self._bounds = bounds
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        REGISTRY.register(self)

    def observe(self, label: str, values: Sequence[float]) -> None:
        """Count *values*."""
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = [0] * (len(self._bounds) + 1)
            self._sums[label] = 0.0
        for value in values:
            counts[bisect_left(self._bounds, value)] += 1
        self._sums[label] += sum(values)

    @override
    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        ends = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for label, counts in self._counts.items():
            family.add_metric([label], list(zip(ends, accumulate(counts), strict=True)), self._sums[label])
        yield family

    def describe(self) -> Iterator[Metric]:
        """Name what ``collect`` yields."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labels)


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

WAIT_SECONDS: Final = Spread(
    "callsheet_job_wait_seconds",
    "Seconds from when a job could have run to its first lease; jobs that need others are left out.",
    ["category"],
    bounds=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)
for _scope in SCOPE_OF.values():
    WAIT_SECONDS.observe(_scope, ())

RUN_SECONDS: Final = Spread(
    "callsheet_job_run_seconds",
    "Seconds that the last attempt of a job ran which ended.",
    ["type"],
    bounds=(0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
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

LEDGER_MENDED: Final = Gauge(
    "callsheet_ledger_mended_timestamp_seconds",
    "When this process, as a new leader, last found the ledger of the GPUs not to be the sum of the live "
    "leases and mended it: seconds since 1970, 0 for never.",
)


def show_type(job_type: str) -> None:
    """Show the counts of a type from 0 on: of what is first seen at 12 Prometheus knows no increase."""
    for state in (JobState.PENDING, *FINAL):
        JOBS.labels(job_type, state.name.lower())
    RUN_SECONDS.observe(job_type, ())


def count_inserted(batch: Sequence[InsertJobs], now: float, waits: Waits) -> None:
    """Count submissions that are durable."""
    _created(row.job for effect in batch for row in effect.rows)
    _granted((row.job for effect in batch for row in effect.rows if row.job.id in effect.session), now, waits)


def count_turn(batch: Iterable[TurnEffect], now: float, waits: Waits) -> None:
    """Count what a durable turn did, before the engine forgets how it was."""
    granted: list[LiveJob] = []
    created: list[LiveJob] = []
    finished: list[FinishJob] = []
    for effect in batch:
        match effect:
            case GrantLease(job=job):
                granted.append(job)
            case FinishJob():
                finished.append(effect)
            case ReleaseLease():
                ATTEMPTS_RELEASED.labels(effect.outcome).inc()
                created += [row.job for row in effect.follow_ups]
            case _:
                pass
    ran_s: defaultdict[str, list[float]] = defaultdict(list)
    for effect in finished:
        job = effect.job
        if effect.follow_ups:
            created += [row.job for row in effect.follow_ups]
        if job.started_at is not None and effect.was in LEASED:
            ran_s[job.type].append(max(0.0, effect.finished_at - job.started_at))
    ended = Tally([(effect.job.type, effect.state) for effect in finished])
    _granted(granted, now, waits)
    _created(created)
    for (job_type, state), jobs in ended.items():
        JOBS.labels(job_type, state.name.lower()).inc(jobs)
    for job_type, values in ran_s.items():
        RUN_SECONDS.observe(job_type, values)


def _created(jobs: Iterable[LiveJob]) -> None:
    for job_type, count in Tally(job.type for job in jobs).items():
        JOBS.labels(job_type, JobState.PENDING.name.lower()).inc(count)


def _granted(jobs: Iterable[LiveJob], now: float, waits: Waits) -> None:
    waited_s: defaultdict[tuple[str, Category], list[float]] = defaultdict(list)
    for job in jobs:
        wait_s = wait_s_of(job, now)
        if wait_s is not None:
            waited_s[job.type, job.category].append(wait_s)
    for (job_type, category), values in waited_s.items():
        WAIT_SECONDS.observe(SCOPE_OF[category], values)
        waits.add(job_type, category, values, now)
