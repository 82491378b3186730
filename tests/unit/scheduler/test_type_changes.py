"""What is decided of a job type: what it changes, and which of the jobs that wait follow."""

from dataclasses import replace

from callsheet_scheduler.domain.footprint import RUNS_TO_PROPOSE
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.domain.job_type import KeptChange, TypeChange
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.type_changes import NewNeeds

from callsheet.catalog import Category
from tests.support.engines import START
from tests.support.gpu_fleet import GpuFleet, card, infer
from tests.support.job_types import NOOP

PAINT = replace(NOOP, name="paint", category=Category.GPU_AI, vram_mib=4_000)
RAISED = KeptChange(
    type="paint", change=TypeChange(vram_mib=6_000), at=START, by="ann", moves_mib=frozenset({4_000})
)


def test_what_is_decided_stands_before_what_is_declared_and_after_it_too() -> None:
    types = JobTypes()
    types.change(RAISED)
    types.learn(PAINT)
    assert types.get("paint", field="type").vram_mib == 6_000
    types.learn(replace(PAINT, vram_mib=5_000, run_limit_s=7))
    known = types.get("paint", field="type")
    assert (known.vram_mib, known.run_limit_s) == (6_000, 7)
    types.restore([])
    assert types.get("paint", field="type").vram_mib == 5_000


def test_only_what_is_named_is_changed_or_taken_back() -> None:
    before = TypeChange(vram_mib=6_000, run_limit_s=60)
    after = NewNeeds(learns_vram=True, clear=frozenset({"vram_mib"})).on(before)
    assert after == TypeChange(run_limit_s=60, learns_vram=True)
    assert NewNeeds().on(before) == before


def test_jobs_that_wait_with_the_figure_of_their_type_follow_and_others_do_not() -> None:
    drive = GpuFleet()
    raised = RAISED.change.on(PAINT)

    def follows(vram_mib: int = 4_000, **changes: object) -> bool:
        return RAISED.moves(infer(drive, vram_mib, at=START - 1, **changes), raised)

    assert follows()
    assert follows(state=JobState.PAUSED)
    assert follows(5_000)
    assert not follows(7_000)
    assert not follows(state=JobState.RUNNING)
    assert not follows(out_of_vram_count=1)
    asked = infer(drive, 4_000, at=START + 1)
    assert not RAISED.moves(asked, replace(raised, vram_mib=3_000))
    assert RAISED.moves(asked, raised)  # It came while the decision was being written.
    learned = replace(raised, learns_vram=True)
    assert not RAISED.moves(infer(drive, 5_000, at=START - 1), learned)


def test_job_that_no_gpu_had_room_for_starts_when_it_needs_less() -> None:
    drive = GpuFleet()
    drive.reach(card(usable_mib=8_000))
    job = infer(drive, 24_000)
    drive.submit(job)
    assert drive.grants() == []

    drive.engine.need(job, 8_000)
    drive.settle()

    [grant] = drive.grants()
    [account] = drive.engine.ledger.accounts.values()
    assert (grant.job.vram_mib, account.allocated.vram_mib) == (8_000, 8_000)


def test_charge_of_a_job_that_asks_for_nothing_is_the_learned_one_as_far_as_a_gpu_has_it() -> None:
    drive = GpuFleet()
    drive.reach(card(usable_mib=8_000))
    sort = (Category.GPU_AI, "tag_generation", None)
    assert drive.engine.charge_mib(sort, None, 4_000, START) == 4_000
    for _ in range(RUNS_TO_PROPOSE):
        drive.engine.footprints.completed(infer(drive, 20_000), 1.0, 10_000)
    assert drive.engine.charge_mib(sort, None, 4_000, START) == 8_000
    assert drive.engine.charge_mib(sort, None, 24_000, START) == 11_008
