"""What the scheduler counts with every job is what Prometheus would have counted."""

from callsheet_scheduler.domain.effects import FinishJob, GrantLease, InsertJobs, NewRow
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, JobState, Ties
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.metrics import Spread, count_inserted, count_turn
from callsheet_scheduler.use_cases.job_types import JobTypes
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric

from callsheet.catalog import CATALOG
from callsheet.ids import new_job_id
from tests.support.engines import START, new_job

BOUNDS = (0.01, 1, 60)


def samples(families: list[Metric], name: str) -> set[tuple[str, str, float]]:
    return {
        (sample.name, sample.labels.get("le", ""), round(sample.value, 6))
        for family in families
        for sample in family.samples
        if family.name == name and not sample.name.endswith("_created")
    }


@given(st.lists(st.floats(0, 100) | st.sampled_from(BOUNDS), min_size=1))
def test_a_spread_counts_as_a_histogram_does(values: list[float]) -> None:
    spread = Spread("trial_seconds", "Of a test.", ["type"], bounds=BOUNDS)
    histogram = Histogram(
        "trial_seconds", "Of a test.", ["type"], buckets=BOUNDS, registry=CollectorRegistry()
    )
    try:
        spread.observe("scan", values[:1])
        spread.observe("scan", values[1:])
        for value in values:
            histogram.labels("scan").observe(value)
        assert samples(list(spread.collect()), "trial_seconds") == samples(
            list(histogram.collect()), "trial_seconds"
        )
    finally:
        REGISTRY.unregister(spread)


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_job_is_counted_when_it_is_created_leased_and_ended() -> None:
    engine = Engine(term=1, rules=Rules())
    kind = f"kind_{new_job_id()[-12:]}"
    job = new_job(engine, type=kind, run_at=START + 5)
    before = figure("callsheet_job_wait_seconds_sum", category="cpu")

    count_inserted([InsertJobs(request=1, rows=[NewRow(job=job, params="{}")])], START, engine.waits)
    job.attempt, job.started_at = 1, START + 8
    count_turn([GrantLease(job=job, session=1, at=START + 8)], START + 8, engine.waits)
    end = FinishJob(
        job=job, token=job.token, was=JobState.QUEUED, state=JobState.COMPLETED, finished_at=START + 11
    )
    count_turn([end], START + 12, engine.waits)

    assert figure("media_jobs_total", type=kind, status="pending") == 1
    assert figure("media_jobs_total", type=kind, status="completed") == 1
    assert figure("callsheet_job_wait_seconds_sum", category="cpu") - before == 3
    assert figure("callsheet_job_run_seconds_sum", type=kind) == 3


def test_every_type_that_is_known_is_counted_from_0_on() -> None:
    known = JobTypes().all()

    assert {one.name for one in known} == set(CATALOG)
    for status in ("pending", "completed", "failed", "cancelled"):
        figures = [
            REGISTRY.get_sample_value("media_jobs_total", {"type": one.name, "status": status})
            for one in known
        ]
        assert None not in figures
    runs = [REGISTRY.get_sample_value("callsheet_job_run_seconds_count", {"type": one.name}) for one in known]
    assert None not in runs


def test_a_later_attempt_and_a_job_that_needs_others_tell_of_no_wait() -> None:
    engine = Engine(term=1, rules=Rules())
    again, tied = new_job(engine), new_job(engine, ties=Ties(needs=(JobId(new_job_id()),)))
    again.attempt, tied.attempt = 2, 1
    before = figure("callsheet_job_wait_seconds_count", category="cpu")

    count_turn([GrantLease(job=job, session=1, at=START) for job in (again, tied)], START + 9, engine.waits)

    assert figure("callsheet_job_wait_seconds_count", category="cpu") == before
