"""Only failures that may be the worker's own count, and only in a row."""

import pytest

from callsheet.v1.job_pb2 import FailureKind
from callsheet.v1.lease_service_pb2 import Completed, Failed, Paused, Result, Returned
from callsheet.worker.streak import Streak

BUG = Result(failed=Failed(kind=FailureKind.FAILURE_KIND_BUG))


def test_the_failure_that_reaches_the_limit_is_told_once() -> None:
    streak = Streak(2)
    assert [streak.add(BUG) for _ in range(4)] == [False, True, False, False]


def test_success_begins_anew() -> None:
    streak = Streak(2)
    streak.add(BUG)
    streak.add(Result(completed=Completed()))
    assert not streak.add(BUG)


@pytest.mark.parametrize(
    "result",
    [
        Result(failed=Failed(kind=FailureKind.FAILURE_KIND_BAD_INPUT)),
        Result(failed=Failed(kind=FailureKind.FAILURE_KIND_CANCELLED)),
        Result(returned=Returned()),
        Result(paused=Paused()),
    ],
)
def test_what_is_no_fault_of_the_worker_neither_counts_nor_begins_anew(result: Result) -> None:
    streak = Streak(2)
    streak.add(BUG)
    assert not streak.add(result)
    assert streak.add(BUG)


def test_without_a_limit_any_number_may_fail() -> None:
    streak = Streak(0)
    assert not any(streak.add(BUG) for _ in range(100))
