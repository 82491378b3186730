"""Big GPU jobs do not starve: who may overtake them, for how long, and what is kept for them then."""

import pytest
from callsheet_scheduler.domain.job import JobState, LiveJob, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF, Scope
from callsheet_scheduler.domain.patience import BackfillRules, Policy

from callsheet.catalog import Category
from tests.support.engines import START
from tests.support.gpu_fleet import ENCODE, INFER, card, encode, infer
from tests.support.gpu_runs import GpuRuns, engine_with, fresh

PATIENCE_S = 600.0


def full_card(*, run_s: float = 1_000.0, policy: Policy = Policy.EASY) -> tuple[GpuRuns, LiveJob]:
    """Return a card of 16,000 MiB with 8,000 taken until *run_s*, and a job of 12,000 that waits for it."""
    runs = fresh(policy, patience_s=PATIENCE_S)
    runs.know({INFER: run_s, ENCODE: 100.0})
    runs.reach(card(sessions=3))
    runs.arrive(infer(runs, 8_000), run_s=run_s)
    big = runs.arrive(infer(runs, 12_000), run_s=500.0, after_s=1)
    return runs, big


def submitted(runs: GpuRuns, job: LiveJob, *, run_s: float = 100.0) -> JobState:
    """Submit *job* now and return its state a moment later."""
    runs.arrive(job, run_s=run_s)
    runs.go(1.0)
    return job.state


def test_everybody_overtakes_until_the_patience_is_at_its_end() -> None:
    runs, big = full_card()
    runs.go(PATIENCE_S)
    assert submitted(runs, encode(runs, 6_000), run_s=10.0) is JobState.RUNNING
    runs.go(10.0)
    [reservation] = runs.reservations()
    assert (reservation.job, reservation.device, reservation.at) == (big, "GPU-1", START + 1_000)
    assert submitted(runs, infer(runs, 6_000)) is JobState.PENDING


def test_job_passes_that_ends_before_or_fits_beside() -> None:
    runs, big = full_card()
    runs.go(PATIENCE_S + 2)
    assert submitted(runs, encode(runs, 7_000)) is JobState.RUNNING
    runs.go(100.0)
    assert submitted(runs, infer(runs, 4_001)) is JobState.PENDING
    assert submitted(runs, infer(runs, 4_000)) is JobState.RUNNING
    assert submitted(runs, infer(runs, 1)) is JobState.PENDING
    runs.go()
    assert runs.waited_s(big) == pytest.approx(999.0)


def test_job_of_unknown_run_time_passes_only_beside() -> None:
    runs, _ = full_card()
    runs.hello("w2", types=("dub",), cards=[card(sessions=3)])
    runs.go(PATIENCE_S + 2)
    assert submitted(runs, infer(runs, 5_000, type="dub")) is JobState.PENDING
    assert submitted(runs, infer(runs, 4_000, type="dub")) is JobState.RUNNING


def test_card_is_kept_too_for_a_job_whose_runs_took_no_time() -> None:
    runs, big = full_card()
    runs.know({INFER: 0.0})
    runs.go(PATIENCE_S + 2)
    runs.hello("w2", types=("dub",), cards=[card(sessions=3)])
    [reservation] = runs.reservations()
    assert (reservation.job, reservation.run_s) == (big, 0.0)
    assert submitted(runs, infer(runs, 5_000, type="dub")) is JobState.PENDING


def test_more_urgent_job_minds_no_reservation() -> None:
    runs, _ = full_card()
    runs.go(PATIENCE_S + 2)
    assert submitted(runs, infer(runs, 8_000, priority=4)) is JobState.RUNNING


def test_encoder_sessions_are_kept_like_memory() -> None:
    runs = fresh(patience_s=10.0)
    runs.know({ENCODE: 500.0, INFER: 200.0})
    runs.reach(card(sessions=1))
    runs.arrive(infer(runs, 8_000), run_s=200.0)
    big = runs.arrive(encode(runs, 12_000), run_s=500.0, after_s=1)
    runs.go(20.0)
    assert submitted(runs, encode(runs, 1_000)) is JobState.PENDING  # it would take the only session
    runs.know({INFER: 900.0})
    assert submitted(runs, infer(runs, 1_000)) is JobState.RUNNING
    runs.go(180.0)
    assert big.state is JobState.RUNNING


def test_place_below_a_limit_is_kept_too() -> None:
    runs = fresh(patience_s=10.0)
    runs.limit(host={SCOPE_OF[Category.GPU_AI]: 1, SCOPE_OF[Category.GPU_ENCODE]: 9})
    runs.know({INFER: 300.0, ENCODE: 200.0})
    runs.reach(card("GPU-1", 16_000), card("GPU-2", 3_000, index=1))
    runs.arrive(encode(runs, 8_000), run_s=200.0)
    big = runs.arrive(infer(runs, 12_000), run_s=300.0)
    runs.go(20.0)
    assert submitted(runs, infer(runs, 1_000)) is JobState.PENDING  # the host has one place for inference
    runs.go(180.0)
    assert big.state is JobState.RUNNING


def test_urgent_jobs_are_less_patient() -> None:
    rules = BackfillRules(patience_s=600.0)
    runs = fresh()
    patience = [rules.patience_of(infer(runs, 1, priority=level)) for level in (1, 5, 10)]
    assert patience == [120.0, 600.0, 1_200.0]
    assert rules.patience_of(infer(runs, 1, priority=5, interactive=True)) == 540.0


@pytest.mark.parametrize("what", ["cancel", "pause", "pause of its type", "later priority"])
def test_reservation_ends_with_what_it_is_for(what: str) -> None:
    runs, big = full_card()
    runs.know({ENCODE: 9_000.0})
    runs.go(PATIENCE_S + 2)
    held_up = encode(runs, 7_000)
    assert submitted(runs, held_up) is JobState.PENDING
    match what:
        case "cancel":
            runs.engine.cancel(big, by="ann", now=runs.now)
        case "pause":
            runs.engine.pause(big, runs.now)
        case "pause of its type":
            runs.pause_scope(Scope(INFER))
        case _:
            runs.engine.prioritize(big, 6)
    runs.settle()
    runs.go(1.0)
    assert (held_up.state, runs.reservations()) == (JobState.RUNNING, [])


def test_reservation_goes_where_there_will_be_room_when_its_card_vanishes() -> None:
    runs = fresh(patience_s=10.0)
    runs.know({INFER: 300.0, ENCODE: 200.0})
    runs.reach(card("GPU-1"))
    runs.arrive(encode(runs, 8_000), run_s=200.0)
    runs.go(1.0)
    runs.reach(card("GPU-2"), worker="w2", session=2)
    runs.arrive(infer(runs, 9_000), run_s=300.0)
    big = runs.arrive(infer(runs, 12_000), run_s=300.0, after_s=1)
    runs.go(20.0)
    assert [one.device for one in runs.reservations()] == ["GPU-1"]
    runs.see(gone=True)
    runs.go(2.0)
    assert [(one.job, one.device) for one in runs.reservations()] == [(big, "GPU-2")]
    runs.engine.goodbye(WorkerId("w2"), 2, runs.now)
    runs.settle()
    runs.go(2.0)
    assert runs.reservations() == []


def test_those_that_were_let_pass_cannot_put_the_promise_off() -> None:
    runs, big = full_card(run_s=700.0)
    runs.go(PATIENCE_S + 2)
    [reservation] = runs.reservations()
    late = encode(runs, 6_000)
    runs.know({ENCODE: 50.0})
    assert submitted(runs, late, run_s=400.0) is JobState.RUNNING
    runs.go(150.0)
    assert (big.state, reservation.at) == (JobState.PENDING, START + 700.0)
    assert reservation.expected.at > runs.now
    assert submitted(runs, encode(runs, 1_000), run_s=1.0) is JobState.PENDING
    runs.go()
    assert runs.started_at[big.id] == runs.ended_at[late.id]


def test_promise_follows_the_leases_that_were_there_before() -> None:
    runs, _ = full_card(run_s=700.0)
    first = next(iter(runs.run_s))
    runs.run_s[first] = 2_000.0
    runs.go(900.0)
    [reservation] = runs.reservations()
    assert reservation.at == pytest.approx(START + 900 * 1.25, abs=2)
    assert submitted(runs, encode(runs, 6_000)) is JobState.RUNNING


def test_new_leader_finds_the_reservation_again() -> None:
    runs, big = full_card()
    runs.go(PATIENCE_S + 2)
    [before] = runs.reservations()
    engine = engine_with(patience_s=PATIENCE_S, term=2)
    engine.footprints.restore([*runs.engine.footprints.take_changed()])
    after = GpuRuns(engine=engine, now=runs.now, run_s=runs.run_s)
    after.unlimited()
    after.know({INFER: 1_000.0, ENCODE: 100.0})
    jobs = list(runs.engine.queue.jobs.values())
    account = runs.account()
    engine.ledger.restore([runs.kept_account()], account.charges.values())
    for job in jobs:
        engine.restore(job, runs.now)
    leased = [(job.id, job.token) for job in jobs if job.worker_id]
    after.reach(card(sessions=3), session=2, held=leased)
    for job_id, token in leased:
        engine.started(WorkerId("w1"), job_id, token, START)
    after.go(2.0)
    [found] = after.reservations()
    assert (found.job, found.device, found.at) == (big, before.device, before.at)


def test_only_a_share_of_the_cards_is_reserved() -> None:
    runs = fresh(patience_s=10.0)
    runs.know({INFER: 300.0})
    runs.reach(*(card(f"GPU-{number}", index=number) for number in range(8)), slots=30)
    for _ in range(8):
        runs.arrive(infer(runs, 9_000), run_s=300.0)
    big = [runs.arrive(infer(runs, 12_000), run_s=300.0, after_s=1) for _ in range(5)]
    runs.go(20.0)
    assert [one.job for one in runs.reservations()] == big[:2]
    assert len({one.device for one in runs.reservations()}) == 2


def test_job_that_no_card_can_hold_reserves_nothing() -> None:
    runs = fresh(patience_s=10.0)
    runs.reach(card())
    runs.arrive(infer(runs, 8_000), run_s=300.0)
    runs.arrive(infer(runs, 17_000), run_s=300.0)
    runs.go(20.0)
    assert runs.reservations() == []


def test_first_come_lets_nobody_of_the_lane_overtake() -> None:
    runs, _ = full_card(policy=Policy.FIRST_COME)
    runs.arrive(infer(runs, 40_000), run_s=1.0)
    runs.go(5.0)
    assert submitted(runs, infer(runs, 1_000)) is JobState.PENDING
    assert submitted(runs, encode(runs, 1_000)) is JobState.RUNNING


def test_skip_ahead_reserves_nothing_ever() -> None:
    runs, _ = full_card(policy=Policy.SKIP_AHEAD)
    runs.go(990.0)
    assert submitted(runs, infer(runs, 6_000)) is JobState.RUNNING
    assert runs.reservations() == []


def test_full_reservation_reserves_at_once_for_everyone() -> None:
    runs, big = full_card(policy=Policy.FULL_RESERVATION)
    other = runs.arrive(infer(runs, 13_000), run_s=100.0, after_s=2)
    runs.go(5.0)
    assert [(one.job, one.at - START) for one in runs.reservations()] == [(big, 1_000.0), (other, 2_000.0)]
    assert submitted(runs, infer(runs, 4_001)) is JobState.PENDING
    assert submitted(runs, infer(runs, 4_000)) is JobState.RUNNING


def test_reservation_charges_nothing() -> None:
    runs, big = full_card()
    runs.go(PATIENCE_S + 2)
    assert runs.reservations()
    assert (big.state, runs.account().allocated, runs.free_mib()) == (JobState.PENDING, (8_000, 0), 8_000)
    assert runs.engine.turn == []


@pytest.mark.parametrize("cards", [1, 3])
def test_big_job_behind_an_endless_stream_of_small_ones_starts_by_its_promise(cards: int) -> None:
    runs = fresh(patience_s=PATIENCE_S)
    runs.know({INFER: 300.0, ENCODE: 60.0})
    runs.reach(*(card(f"GPU-{number}", index=number) for number in range(cards)), slots=40)
    for number in range(400 * cards):
        runs.arrive(encode(runs, 4_000), run_s=60.0, after_s=10.0 * number / cards)
    big = runs.arrive(infer(runs, 12_000), run_s=300.0, after_s=100.0)
    runs.go()
    promised_s = runs.promises[big.id][1] - big.created_at
    assert runs.waited_s(big) <= promised_s
    assert promised_s <= PATIENCE_S + 60.0 + 2.0
