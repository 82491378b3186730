"""Why a GPU job waits, in words whose figures are true, and what looking for room costs."""

import sys
from types import FrameType

import pytest
from callsheet_scheduler.domain.job import JobState, LiveJob, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.use_cases.waiting import waiting_reason

from callsheet.catalog import Category
from tests.support.gpu_fleet import GpuFleet, card, encode, infer


def reason(fleet: GpuFleet, job: LiveJob) -> str:
    """Submit *job* and return why it waits."""
    fleet.submit(job)
    return waiting_reason(fleet.engine, job, fleet.now)


def test_shortfall_names_the_card_that_has_most_free() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 6_000), card("GPU-2", 10_000, index=1))
    fleet.granted_to(infer(fleet, 6_500))
    assert reason(fleet, infer(fleet, 8_000)) == "Needs 8000 MB; most free is 6000 MB on atlas GPU 0"


def test_job_that_no_card_can_ever_hold_says_so() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 16_000), card("GPU-2", 8_000, index=1))
    assert reason(fleet, infer(fleet, 24_000)) == "Needs 24000 MB; the largest GPU has 16000 MB"


def test_want_of_encoder_sessions_is_told_apart_from_want_of_memory() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", sessions=1))
    fleet.granted_to(encode(fleet))
    assert reason(fleet, encode(fleet)) == "Needs an encoder session; all 1 of atlas GPU 0 are taken"
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", sessions=0))
    assert reason(fleet, encode(fleet)) == "Needs an encoder session; atlas GPU 0 has none"


def test_card_that_cannot_be_used_is_named_with_its_problem() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1"))
    fleet.see(problem="the driver has not answered for 7 s")
    expected = "atlas GPU 0 cannot be used: the driver has not answered for 7 s"
    assert reason(fleet, infer(fleet, 100)) == expected


def test_want_of_any_card_is_told() -> None:
    fleet = GpuFleet()
    fleet.reach()
    assert reason(fleet, infer(fleet, 100)) == "No connected worker that handles tag_generation has a GPU"


def test_limits_and_slots_are_named_before_memory() -> None:
    fleet = GpuFleet()
    fleet.reach(card("GPU-1", 4_000))
    fleet.granted_to(infer(fleet, 3_000))
    expected = "The limit of 1 gpu_ai jobs per host is reached on atlas"
    assert reason(fleet, infer(fleet, 3_000)) == expected
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 4_000), slots=1)
    fleet.granted_to(infer(fleet, 3_000))
    assert reason(fleet, infer(fleet, 3_000)) == "All 1 gpu_ai slots are busy"


@pytest.mark.parametrize("vram_mib", [100, 4_000])
def test_job_has_a_reason_exactly_while_it_cannot_start(vram_mib: int) -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 4_000))
    first = infer(fleet, 4_000)
    fleet.granted_to(first)
    waiting = infer(fleet, vram_mib)
    assert reason(fleet, waiting) == f"Needs {vram_mib} MB; most free is 0 MB on atlas GPU 0"
    fleet.engine.goodbye(WorkerId("w1"), 1, fleet.now)
    fleet.settle()
    fleet.reach(card("GPU-1", 4_000), session=2)
    assert [job.state for job in (first, waiting)] == [JobState.QUEUED, JobState.PENDING]
    assert [bool(waiting_reason(fleet.engine, job, fleet.now)) for job in (first, waiting)] == [False, True]


def calls_of_a_pass(fleet: GpuFleet) -> int:
    """Return how many functions are called to look whether anything can be granted."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    fleet.engine.plan(fleet.now)
    sys.setprofile(None)
    return calls


def test_looking_for_room_costs_the_same_however_many_jobs_of_however_many_sizes_wait() -> None:
    costs: list[int] = []
    for waiting in (10, 3_000):
        fleet = GpuFleet()
        fleet.limit(host={SCOPE_OF[Category.GPU_AI]: 100})
        fleet.reach(card("GPU-1", 6_000))
        fleet.granted_to(infer(fleet, 5_000))
        fleet.submit(*(infer(fleet, 2_000 + number) for number in range(waiting)))
        assert fleet.grants() == []
        costs.append(calls_of_a_pass(fleet))
    assert costs[1] <= costs[0] + 20
