"""A job that ran out of memory of its GPU goes again with more of it, or fails and says why."""

import pytest
from callsheet_scheduler.domain.device import Card, DeviceId
from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.domain.retry import OUT_OF_VRAM_MAX

from callsheet.catalog import Category
from tests.support.engines import Drive, grant_of, new_job

MARGIN_MIB = 512


def card(memory_mib: int, name: str = "GPU-a") -> Card:
    return Card(id=DeviceId(name), index=0, name="card", memory_mib=memory_mib)


def running(
    drive: Drive, *, vram_mib: int, memory_mib: int = 16_000, software: bool = False
) -> tuple[LiveJob, SendGrant]:
    """Return a GPU job that a worker with one card runs, or does without."""
    cards = () if software else (card(memory_mib),)
    drive.hello(cards=cards, software_gpu=software)
    job = new_job(drive.engine, category=Category.GPU_AI, vram_mib=vram_mib)
    drive.submit(job)
    return job, grant_of(drive)


def test_it_goes_again_at_once_with_more_and_spends_no_retry() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=2_000)

    drive.fail(grant, Ending.OUT_OF_VRAM)

    again = grant_of(drive)
    assert again.job is job
    assert job.vram_mib == 3_072
    assert job.retry_count == 0
    assert job.error == "it broke; it had 2000 MB and goes again with 3072 MB"
    account = drive.engine.ledger.accounts[DeviceId("GPU-a")]
    assert account.allocated.vram_mib == 3_072


def test_it_gets_all_of_the_largest_gpu_at_most_and_then_fails() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=3_000, memory_mib=4_000 + MARGIN_MIB)

    drive.fail(grant, Ending.OUT_OF_VRAM)
    assert job.vram_mib == 4_000
    drive.fail(grant_of(drive), Ending.OUT_OF_VRAM)

    assert job.state is JobState.FAILED
    assert drive.finished[-1].error == "it broke; it had 4000 MB, and no GPU has more to give"
    assert drive.engine.ledger.accounts[DeviceId("GPU-a")].allocated.vram_mib == 0


def test_larger_gpu_of_a_worker_that_cannot_do_it_does_not_count() -> None:
    drive = Drive()
    drive.hello("w2", session=2, host="other", types=("label",), cards=[card(80_000, "GPU-b")])
    job, grant = running(drive, vram_mib=4_000, memory_mib=4_000 + MARGIN_MIB)

    drive.fail(grant, Ending.OUT_OF_VRAM)

    assert job.state is JobState.FAILED


def test_it_does_not_go_again_for_ever() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=1, memory_mib=1_000_000)
    had_mib = [job.vram_mib]
    while True:
        drive.fail(grant, Ending.OUT_OF_VRAM)
        if job.state is JobState.FAILED:
            break
        had_mib.append(job.vram_mib)
        grant = grant_of(drive)

    assert len(had_mib) == OUT_OF_VRAM_MAX + 1
    assert had_mib == sorted(set(had_mib))
    last = drive.finished[-1]
    assert last.error is not None
    assert f"{OUT_OF_VRAM_MAX + 1} attempts ran out of GPU memory" in last.error


def test_without_a_gpu_it_is_a_want_of_capacity() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=2_000, software=True)

    drive.fail(grant, Ending.OUT_OF_VRAM)

    assert job.vram_mib == 2_000
    assert job.capacity_count == 1
    assert job.retry_after is not None


def test_cancelled_job_does_not_go_again() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=2_000)
    drive.engine.cancel(job, by="ann", now=drive.now)
    drive.settle()

    drive.fail(grant, Ending.OUT_OF_VRAM)

    assert job.state is JobState.CANCELLED


def test_completed_attempts_alone_teach_how_long_they_run() -> None:
    drive = Drive()
    job, grant = running(drive, vram_mib=2_000)
    drive.engine.started(grant.job.worker_id or pytest.fail("nobody runs it"), job.id, job.token, drive.now)
    drive.wait(5.0)
    drive.fail(grant, Ending.RETURNED)

    assert drive.engine.footprints.run_s(job) is None

    grant = grant_of(drive)
    drive.complete(grant)
    assert drive.engine.footprints.run_s(job) == 0.0
