"""Which waits are counted, from when, and how they come together."""

from dataclasses import replace

import pytest
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, Ties
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.domain.waits import Wait, WaitKey, Waits, joined, wait_s_of

from callsheet.catalog import Category
from callsheet.ids import new_job_id
from tests.support.engines import START, new_job

NEEDS = Ties(needs=(JobId(new_job_id()),))
CHILDREN = Ties(children=(JobId(new_job_id()),))


@pytest.mark.parametrize(
    ("attempt", "run_at", "ties", "wait_s"),
    [
        (1, None, None, 8),
        (1, START + 5, None, 3),
        (1, START + 9, None, 0),
        (2, None, None, None),
        (1, None, NEEDS, None),
        (1, None, CHILDREN, 8),
    ],
)
def test_a_wait_ends_with_the_first_attempt_and_begins_when_the_job_might_have_started(
    attempt: int, run_at: float | None, ties: Ties | None, wait_s: float | None
) -> None:
    job = new_job(Engine(term=1, rules=Rules()))
    job.attempt, job.run_at, job.ties = attempt, run_at, ties
    assert wait_s_of(job, START + 8) == wait_s


def test_waits_are_summed_by_hour_and_type_and_taken_once() -> None:
    waits = Waits()
    hour = START // 3600 * 3600
    for waits_s, at in (([2], hour), ([4, 1], hour + 3599), ([1], hour + 3600)):
        waits.add("scan", Category.CPU, waits_s, at)
    first = Wait(key=WaitKey(hour, "scan", Category.CPU), jobs=3, wait_s=7, longest_wait_s=4)
    later = Wait(key=WaitKey(hour + 3600, "scan", Category.CPU), jobs=1, wait_s=1, longest_wait_s=1)
    assert waits.all() == [first, later]
    assert waits.take() == [first, later]
    assert waits.all() == []
    both = replace(first, jobs=6, wait_s=14)
    assert list(joined([later, first, first])) == [both, later]
