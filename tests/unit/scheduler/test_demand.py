"""How much work there is for an autoscaler: what could run and what runs, and nothing else."""

import pytest
from callsheet_scheduler.domain.demand import Addable, Demand, demand_of
from callsheet_scheduler.domain.device import Card, DeviceId
from callsheet_scheduler.domain.job import LEASED, JobState, LiveJob
from callsheet_scheduler.domain.limits import SCOPE_OF, Pause, Scope
from callsheet_scheduler.use_cases.scaling import addable
from hypothesis import given
from hypothesis import strategies as st

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from tests.support.engines import START, Drive, new_job

CPU_WORKERS = Addable(category=Category.CPU, slots=5)


def encodings(drive: Drive, *sizes_mib: int) -> list[LiveJob]:
    return [
        new_job(drive.engine, type="encode", category=Category.GPU_ENCODE, vram_mib=size)
        for size in sizes_mib
    ]


def test_what_waits_and_what_runs_is_wanted() -> None:
    drive = Drive()
    drive.submit(*(new_job(drive.engine) for _ in range(3)))
    assert demand_of(drive.engine, CPU_WORKERS) == Demand(slots=3, vram_mib=0)
    drive.hello(slots=2)
    assert demand_of(drive.engine, CPU_WORKERS).slots == 3
    waiting = Addable(category=Category.CPU, slots=5, include_running=False)
    assert demand_of(drive.engine, waiting).slots == 1


def test_what_is_paused_or_waits_for_an_instant_is_not_wanted() -> None:
    drive = Drive()
    drive.submit(new_job(drive.engine), new_job(drive.engine, run_at=START + 60))
    assert demand_of(drive.engine, CPU_WORKERS).slots == 1
    for scope in (Scope("all"), SCOPE_OF[Category.CPU], Scope("scan")):
        drive.engine.pause_scope(Pause(scope=scope, at=START, by="somebody"))
        assert demand_of(drive.engine, CPU_WORKERS).slots == 0
        drive.engine.resume_scope(scope, START)
    drive.now = START + 60
    drive.engine.tick(drive.now)
    assert demand_of(drive.engine, CPU_WORKERS).slots == 2


def test_what_fits_no_worker_that_could_be_added_is_not_wanted() -> None:
    drive = Drive()
    drive.submit(*encodings(drive, 2_000, 3_000, 24_000))
    asked = Addable(category=Category.GPU_ENCODE, slots=2)
    assert demand_of(drive.engine, asked) == Demand(slots=3, vram_mib=29_000)
    sized = Addable(category=Category.GPU_ENCODE, slots=2, vram_mib=8_000)
    assert demand_of(drive.engine, sized) == Demand(slots=2, vram_mib=5_000)
    large = Card(id=DeviceId("GPU-1"), index=0, name="card", memory_mib=32_000)
    drive.hello(types=("other",), cards=(large,))
    assert demand_of(drive.engine, sized) == Demand(slots=3, vram_mib=29_000)


def test_worker_without_a_card_takes_jobs_of_any_size() -> None:
    drive = Drive()
    drive.submit(*encodings(drive, 24_000))
    drive.hello(types=("other",), software_gpu=True)
    sized = Addable(category=Category.GPU_ENCODE, slots=2, vram_mib=8_000)
    assert demand_of(drive.engine, sized) == Demand(slots=1, vram_mib=24_000)


JOBS = st.lists(
    st.tuples(
        st.sampled_from(["scan", "encode", "label"]),
        st.sampled_from([0, 900, 5_000, 24_000]),
        st.booleans(),
    ),
    max_size=12,
)


@given(
    jobs=JOBS,
    slots=st.integers(0, 4),
    paused=st.sampled_from(["", "scan", "gpu_encode"]),
    running=st.booleans(),
)
def test_demand_is_that_of_the_jobs_one_by_one(
    jobs: list[tuple[str, int, bool]], slots: int, paused: str, *, running: bool
) -> None:
    drive = Drive()
    of = {"scan": Category.CPU, "encode": Category.GPU_ENCODE, "label": Category.GPU_AI}
    card = Card(id=DeviceId("GPU-1"), index=0, name="card", memory_mib=9_000)
    if slots:
        drive.hello(slots=slots, types=tuple(of), cards=(card,))
    if paused:
        drive.engine.pause_scope(Pause(scope=Scope(paused), at=START, by="somebody"))
    submitted = [
        new_job(
            drive.engine,
            type=kind,
            category=of[kind],
            vram_mib=0 if kind == "scan" else size,
            run_at=START + 60 if later else None,
        )
        for kind, size, later in jobs
    ]
    for job in submitted:
        drive.submit(job)
    for category in Category:
        asked = Addable(category=category, slots=3, vram_mib=6_000, include_running=running)
        most = max(6_000, 9_000 - drive.engine.ledger.rules.margin_mib) if slots else 6_000
        mine = [job for job in submitted if job.category is category]
        wanted = [
            job
            for job in mine
            if (job.state in LEASED and running)
            or (
                job.state is JobState.PENDING
                and job.run_at is None
                and paused not in {job.type, SCOPE_OF[category]}
                and job.vram_mib <= most
            )
        ]
        assert demand_of(drive.engine, asked) == Demand(
            slots=len(wanted), vram_mib=sum(job.vram_mib for job in wanted)
        )


def test_metadata_say_which_workers() -> None:
    metadata = {
        "category": "gpu_ai",
        "slotsPerWorker": "2",
        "vramPerWorkerMb": "16000",
        "includeRunning": "False",
    }
    assert addable(metadata | {"scalerAddress": "scheduler:7421"}) == Addable(
        category=Category.GPU_AI, slots=2, vram_mib=16_000, include_running=False
    )
    assert addable({"category": "cpu", "slotsPerWorker": "5"}) == CPU_WORKERS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("category", ""),
        ("category", "tpu"),
        ("slotsPerWorker", ""),
        ("slotsPerWorker", "0"),
        ("slotsPerWorker", "-1"),
        ("slotsPerWorker", "2.5"),
        ("slotsPerWorker", "²"),
        ("slotsPerWorker", "9" * 5000),
        ("vramPerWorkerMb", "many"),
        ("includeRunning", "1"),
    ],
)
def test_metadata_that_say_nothing_are_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(InvalidError, match=key) as caught:
        addable({"category": "cpu", "slotsPerWorker": "5", key: value})
    assert caught.value.field == f"scalerMetadata.{key}"
