"""What those who watch are told of the queue, the workers and the GPUs."""

from callsheet_scheduler.domain.device import Card, DeviceId, Reading
from callsheet_scheduler.domain.figures import Figures, Post, Slots, Why, figures_of
from callsheet_scheduler.domain.job import JobId, LiveJob, Ties, WorkerId
from callsheet_scheduler.domain.limits import Scope
from hypothesis import given
from hypothesis import strategies as st

from callsheet.catalog import Category
from tests.support.engines import START, Drive, grant_of, new_job

CPU, ENCODE = Category.CPU, Category.GPU_ENCODE
CARD = Card(id=DeviceId("GPU-1"), index=0, name="card", memory_mib=9_000)


def seen(drive: Drive) -> Figures:
    return figures_of(drive.engine, drive.now)


def encoding(drive: Drive, vram_mib: int) -> LiveJob:
    return new_job(drive.engine, type="encode", category=ENCODE, vram_mib=vram_mib)


def test_an_idle_system_says_so_with_noughts() -> None:
    figures = seen(Drive())

    assert figures.running == dict.fromkeys(Category, 0)
    assert figures.waiting == {(category, why): 0 for category in Category for why in Why}
    assert figures.workers == dict.fromkeys(Post, 0)


def test_jobs_are_told_by_what_they_wait_for() -> None:
    drive = Drive()
    first = new_job(drive.engine)
    drive.submit(first, new_job(drive.engine, run_at=START + 60), new_job(drive.engine, type="label"))
    drive.submit(new_job(drive.engine, ties=Ties(needs=(first.id,), open={first.id})))
    drive.hello(slots=0)

    waiting = seen(drive).waiting

    assert {why: waiting[CPU, why] for why in Why} == {
        Why.TURN: 1,
        Why.NOT_YET: 2,
        Why.NOBODY: 1,
        Why.PAUSED: 0,
        Why.NEVER_FITS: 0,
    }


def test_paused_work_is_told_apart_whether_itself_or_its_scope_is_paused() -> None:
    drive = Drive()
    one, other = new_job(drive.engine), new_job(drive.engine, type="label")
    drive.submit(one, other)
    drive.engine.pause(one, START)
    drive.settle()
    drive.pause_scope(Scope("label"))

    figures = seen(drive)

    assert figures.waiting[CPU, Why.PAUSED] == 2
    assert figures.pending == 1
    assert figures.longest_wait_s[CPU] == 0


def test_job_larger_than_every_gpu_never_fits_until_a_larger_one_comes() -> None:
    drive = Drive()
    drive.hello(slots=0, types=("encode",), cards=(CARD,))
    drive.submit(encoding(drive, 24_000), encoding(drive, 2_000))
    assert seen(drive).waiting[ENCODE, Why.NEVER_FITS] == 1
    assert seen(drive).waiting[ENCODE, Why.TURN] == 1

    large = Card(id=DeviceId("GPU-2"), index=0, name="card", memory_mib=32_000)
    drive.hello("w2", session=2, host="beta", slots=0, types=("encode",), cards=(large,))

    assert seen(drive).waiting[ENCODE, Why.NEVER_FITS] == 0


def test_the_longest_wait_begins_when_a_job_could_have_run() -> None:
    drive = Drive()
    drive.submit(new_job(drive.engine, at=START - 500, run_at=START + 60))
    drive.wait(100)

    assert seen(drive).longest_wait_s[CPU] == 40


def test_slots_and_attempts_are_told_while_their_worker_is_there_and_its_silence_when_not() -> None:
    drive = Drive()
    drive.hello(slots=3)
    drive.submit(new_job(drive.engine))
    grant = grant_of(drive)
    drive.engine.started(WorkerId("w1"), grant.job.id, grant.token, START)
    drive.now += 7

    figures = seen(drive)
    assert figures.slots == {"cpu": Slots(all=3, leased=1), "gpu": Slots(all=0, leased=0)}
    assert figures.running[CPU] == 1
    assert figures.longest_run_s[CPU] == 7
    assert figures.workers[Post.WORKING] == 1

    drive.engine.session_closed(WorkerId("w1"), 1, drive.now)
    drive.now += 7
    figures = seen(drive)
    assert (figures.workers[Post.SILENT], figures.workers[Post.WORKING]) == (1, 0)
    assert figures.silence_s == 7


def test_worker_that_stands_still_with_its_stream_open_is_silent() -> None:
    drive = Drive()
    drive.hello()
    drive.now += drive.engine.rules.lease_ttl_s + 1

    assert seen(drive).workers == {Post.WORKING: 0, Post.DRAINING: 0, Post.SILENT: 1}


def test_what_leases_hold_above_their_charge_is_drift() -> None:
    drive = Drive()
    drive.hello(slots=1, types=("encode",), cards=(CARD,))
    drive.submit(encoding(drive, 2_000))
    grant_of(drive)
    [device] = seen(drive).devices
    assert (device.allocated_mib, device.observed_mib, device.drift_mib) == (2_000, 0, 0)

    drive.now += 1
    reading = Reading(used_mib=3_500, ours_mib=3_100)
    drive.engine.ledger.observe(WorkerId("w1"), {CARD.id: reading}, drive.now)

    [device] = seen(drive).devices
    assert (device.observed_mib, device.foreign_mib, device.drift_mib) == (3_100, 400, 1_100)
    assert device.free_mib == 9_000 - drive.engine.ledger.rules.margin_mib - 3_100 - 400


@given(
    jobs=st.lists(st.tuples(st.sampled_from(["scan", "label"]), st.booleans(), st.booleans()), max_size=9),
    slots=st.integers(0, 3),
    paused=st.sampled_from(["", "all", "label"]),
)
def test_every_live_job_is_told_once(jobs: list[tuple[str, bool, bool]], slots: int, paused: str) -> None:
    drive = Drive()
    if slots:
        drive.hello(slots=slots)
    if paused:
        drive.pause_scope(Scope(paused))
    for job_type, later, held in jobs:
        job = new_job(drive.engine, type=job_type, run_at=START + 60 if later else None)
        drive.submit(job)
        if held and job.id in drive.engine.queue.jobs:
            drive.engine.pause(drive.engine.queue.jobs[JobId(job.id)], START)
            drive.settle()

    figures = seen(drive)

    assert min(figures.waiting.values()) >= 0
    assert sum(figures.waiting.values()) + sum(figures.running.values()) == len(jobs)
