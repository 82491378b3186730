"""What is charged to a GPU, what is free on it, and what proves that it is free again."""

from dataclasses import replace

import pytest
from callsheet_scheduler.domain.account import Account, AccountState
from callsheet_scheduler.domain.device import (
    SOFTWARE,
    Bounds,
    Charge,
    DeviceId,
    KeptAccount,
    LeaseKey,
    Need,
)
from callsheet_scheduler.domain.effects import FreeVram, KeepDevice, Vram
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, JobState, Token, WorkerId
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.rules import Rules

from callsheet.ids import new_job_id
from tests.support.engines import START
from tests.support.gpu_fleet import GpuFleet, card, encode, infer

RULES = Rules()


def lost(fleet: GpuFleet, *, began: bool = True) -> LeaseKey:
    """Let w1 take a job of 6,000 MiB and fall silent; w2 reaches the card too."""
    fleet.reach(card())
    grant = fleet.granted_to(infer(fleet, 6_000))
    if began:
        fleet.engine.started(WorkerId("w1"), grant.job.id, grant.token, fleet.now)
    fleet.engine.session_closed(WorkerId("w1"), 1, fleet.now)
    fleet.wait(RULES.lease_ttl_s + 1)
    assert fleet.released[-1].vram is Vram.LINGERS
    fleet.reach(card(), worker="w2", session=2, slots=0)
    return (grant.job.id, grant.token)


def charge(name: str, vram_mib: int) -> Charge:
    """Return a charge of some lease."""
    lease = (JobId(new_job_id()), Token(1))
    return Charge(
        lease=lease, device=DeviceId(name), worker_id=WorkerId("w"), need=Need(vram_mib, 0), at=START
    )


def test_lease_is_charged_while_it_lives_and_given_back_once() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    grant = fleet.granted_to(infer(fleet, 6_000))
    assert (fleet.account().allocated, fleet.free_mib()) == ((6_000, 0), 10_000)
    fleet.complete(grant)
    assert fleet.finished[-1].vram is Vram.FREED
    assert (fleet.account().allocated, fleet.free_mib()) == ((0, 0), 16_000)


def test_job_is_placed_where_it_leaves_least() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 24_000), card("GPU-2", 8_000), worker="w1")
    fleet.reach(card("GPU-3", 12_000), worker="w2", session=2, host="borea")
    devices = [fleet.granted_to(infer(fleet, vram_mib)).job.device for vram_mib in (7_000, 10_000, 10_000)]
    assert devices == ["GPU-2", "GPU-3", "GPU-1"]


def test_job_that_does_not_fit_holds_no_smaller_one_up() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 10_000))
    fleet.granted_to(infer(fleet, 6_000))
    fleet.submit(infer(fleet, 8_000, priority=1), infer(fleet, 3_000, priority=9))
    assert [grant.job.vram_mib for grant in fleet.grants()] == [3_000]


def test_workers_and_hosts_that_reach_one_card_share_its_account() -> None:
    fleet = GpuFleet().unlimited()
    for number, host in enumerate(("atlas", "atlas", "borea")):
        fleet.reach(card("GPU-1", 10_000), worker=f"w{number}", session=number + 1, host=host)
    fleet.submit(*(infer(fleet, 4_000) for _ in range(5)))
    assert len(fleet.grants()) == 2
    assert fleet.free_mib() == 2_000


def test_encoder_sessions_are_counted_beside_memory() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 16_000, sessions=2))
    fleet.submit(*(encode(fleet) for _ in range(4)), infer(fleet, 1_000))
    assert sorted(grant.job.type for grant in fleet.grants()) == ["reencode", "reencode", "tag_generation"]
    fleet = GpuFleet().unlimited()
    fleet.reach(card("GPU-1", 16_000, sessions=2))
    fleet.see(encoder_sessions=1)
    fleet.submit(*(encode(fleet) for _ in range(4)))
    assert len(fleet.grants()) == 1


def test_worker_without_a_card_does_gpu_jobs_in_software_and_is_charged_nothing() -> None:
    fleet = GpuFleet()
    fleet.reach(software_gpu=True)
    grant = fleet.granted_to(infer(fleet, 60_000))
    assert grant.job.device == SOFTWARE
    fleet.complete(grant)
    assert (fleet.finished[-1].vram, fleet.engine.ledger.accounts) == (Vram.NONE, {})


def test_worker_with_neither_a_card_nor_the_leave_to_do_without_gets_no_gpu_job() -> None:
    fleet = GpuFleet()
    fleet.reach()
    fleet.submit(infer(fleet, 0))
    assert fleet.grants() == []


def test_card_goes_before_software() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(worker="w1", software_gpu=True)
    fleet.reach(card("GPU-1", 5_000), worker="w2", session=2)
    devices = [fleet.granted_to(infer(fleet, 4_000)).job.device for _ in range(2)]
    assert devices == ["GPU-1", SOFTWARE]


# ---- what is seen ----


def test_use_by_strangers_is_not_given_to_jobs() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    fleet.see(used_mib=5_000)
    assert fleet.free_mib() == 11_000
    fleet.submit(infer(fleet, 12_000))
    assert fleet.grants() == []
    fleet.see(used_mib=0)
    assert len(fleet.grants()) == 1


def test_use_beyond_what_is_charged_is_not_given_away_either() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    fleet.granted_to(infer(fleet, 4_000))
    fleet.wait(1.0)
    fleet.see(used_mib=7_000, ours_mib=7_000)
    assert fleet.free_mib() == 9_000


def test_memory_of_a_lease_whose_worker_has_not_looked_since_is_not_taken_for_a_strangers() -> None:
    fleet = GpuFleet()
    fleet.reach(card(), worker="w1")
    fleet.reach(card(), worker="w2", session=2, slots=0)
    fleet.granted_to(infer(fleet, 4_000))
    fleet.see("w2", used_mib=4_000)
    assert (fleet.account().foreign_mib, fleet.free_mib()) == (0, 12_000)
    fleet.wait(1.0)
    fleet.see("w1", used_mib=7_000, ours_mib=4_000)
    assert (fleet.account().foreign_mib, fleet.free_mib()) == (3_000, 9_000)


def test_worker_that_cannot_tell_its_own_use_is_taken_to_use_what_it_was_given() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    fleet.granted_to(infer(fleet, 4_000))
    fleet.wait(1.0)
    fleet.see(used_mib=5_000, ours_mib=None)
    assert (fleet.account().foreign_mib, fleet.free_mib()) == (1_000, 11_000)


def test_old_reading_counts_no_more() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    fleet.see(used_mib=16_000)
    fleet.now += RULES.ledger.fresh_s + 1
    assert fleet.free_mib() == 16_000


def test_reading_never_makes_more_free_than_the_static_account() -> None:
    fleet = GpuFleet()
    fleet.reach(card())
    fleet.granted_to(infer(fleet, 6_000))
    fleet.see(used_mib=0, ours_mib=0, memory_mib=1 << 23)
    assert fleet.free_mib() == 10_000


def test_least_that_a_worker_says_of_a_card_counts() -> None:
    fleet = GpuFleet()
    fleet.reach(card("GPU-1", 8_000), worker="w1")
    fleet.reach(card("GPU-1", 1_000_000), worker="w2", session=2)
    assert fleet.free_mib() == 8_000


# ---- cards that change ----


def test_worker_that_has_not_looked_at_a_card_does_not_describe_it() -> None:
    seen, named = replace(card(), driver="570"), replace(card(), index=7, name="")
    for first, then in ((seen, named), (named, seen)):
        account = Account(first, "atlas", Bounds(capacity_mib=1, margin_mib=0, encoder_sessions_max=None))
        account.reach(WorkerId("w1"), "atlas" if first is seen else "borea", first)
        account.reach(WorkerId("w2"), "atlas" if then is seen else "borea", then)
        assert (account.card, account.host) == (seen, "atlas")


def test_card_that_shrinks_below_what_is_charged_is_marked_and_gets_nothing_more() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card())
    grant = fleet.granted_to(infer(fleet, 10_000))
    bounds = fleet.account().bounds
    fleet.see(memory_mib=8_000)
    assert fleet.account().state() is AccountState.SHRUNK
    assert (fleet.account().bounds, fleet.free_mib()) == (bounds, 0)
    fleet.complete(grant)
    assert fleet.account().state() is AccountState.OK
    assert fleet.account().bounds.capacity_mib == 8_000


def test_vanished_card_is_marked_and_gets_nothing_until_it_is_back() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card())
    grant = fleet.granted_to(infer(fleet, 1_000))
    fleet.see(gone=True)
    fleet.submit(infer(fleet, 1_000))
    assert (fleet.grants(), fleet.account().state()) == ([], AccountState.VANISHED)
    assert fleet.account().allocated == (1_000, 0)
    fleet.complete(grant)
    assert fleet.grants() == []
    fleet.see()
    assert len(fleet.grants()) == 1


def test_card_that_one_worker_cannot_use_is_used_through_another() -> None:
    fleet = GpuFleet().unlimited()
    fleet.reach(card(), worker="w1")
    fleet.reach(card(), worker="w2", session=2)
    fleet.see("w1", problem="the driver does not answer")
    jobs = [fleet.granted_to(infer(fleet, 1_000)).job for _ in range(2)]
    assert {job.worker_id for job in jobs} == {"w2"}


def test_account_is_kept_before_anything_is_charged_to_it() -> None:
    fleet = GpuFleet(slow=True)
    fleet.submit(infer(fleet, 1_000))
    fleet.commit_intake()
    fleet.reach(card())
    assert [type(effect).__name__ for effect in fleet.engine.turn] == ["KeepDevice", "GrantLease"]


# ---- what proves that memory is free ----


def test_elapsed_ttl_is_no_proof() -> None:
    fleet = GpuFleet()
    lost(fleet)
    assert (fleet.account().allocated, fleet.free_mib()) == ((6_000, 0), 10_000)
    fleet.wait(RULES.ledger.orphan_limit_s - 10)
    assert fleet.account().allocated == (6_000, 0)


def test_worker_that_comes_back_without_the_lease_frees_its_memory() -> None:
    fleet = GpuFleet()
    lost(fleet)
    fleet.reach(card(), session=3, slots=0)
    assert fleet.account().allocated == (0, 0)


def test_worker_that_still_holds_a_lost_lease_frees_it_with_its_result() -> None:
    fleet = GpuFleet()
    lease = lost(fleet)
    fleet.reach(card(), session=3, slots=1, held=[lease])
    assert fleet.account().allocated == (6_000, 0)
    late = Outcome(ending=Ending.TRANSIENT, reason="late")
    fleet.engine.ended((WorkerId("w1"), 3), lease, late, span=(None, fleet.now), now=fleet.now)
    assert fleet.account().allocated == (0, 0)


def test_worker_whose_look_names_the_lease_no_more_frees_it() -> None:
    fleet = GpuFleet()
    lease = lost(fleet)
    fleet.reach(card(), session=3, slots=1, held=[lease])
    fleet.see(used_mib=6_000, ours_mib=6_000, held=frozenset({lease}))
    assert fleet.account().allocated == (6_000, 0)
    fleet.see(problem="the driver does not answer")
    assert fleet.account().allocated == (0, 0)


def test_goodbye_frees_everything_that_its_worker_held() -> None:
    fleet = GpuFleet().unlimited()
    lease = lost(fleet)
    fleet.reach(card(), session=3, slots=4, held=[lease])
    assert fleet.account().allocated == (12_000, 0)
    fleet.engine.goodbye(WorkerId("w1"), 3, fleet.now)
    fleet.settle()
    assert fleet.account().allocated == (0, 0)


def test_card_that_another_worker_sees_empty_frees_what_a_lost_one_held() -> None:
    fleet = GpuFleet()
    lost(fleet)
    fleet.see("w2", used_mib=5_000)
    assert fleet.account().allocated == (6_000, 0)
    fleet.see("w2", used_mib=300)
    assert fleet.account().allocated == (0, 0)


def test_empty_card_proves_nothing_about_an_attempt_that_may_not_have_begun() -> None:
    fleet = GpuFleet()
    lost(fleet, began=False)
    fleet.see("w2", used_mib=0)
    assert fleet.account().allocated == (6_000, 0)


def test_orphan_limit_frees_what_nothing_else_proved() -> None:
    fleet = GpuFleet()
    lost(fleet)
    fleet.wait(RULES.ledger.orphan_limit_s + 1)
    assert fleet.account().allocated == (0, 0)
    assert fleet.engine.ledger.lingering == {}


def test_orphan_limit_counts_from_the_last_word_of_the_worker() -> None:
    fleet = GpuFleet()
    lease = lost(fleet)
    fleet.reach(card(), session=3, slots=1, held=[lease])
    for _ in range(4):
        fleet.wait(RULES.ledger.orphan_limit_s / 2)
        fleet.see(used_mib=6_000, ours_mib=6_000, held=frozenset({lease}))
        assert fleet.account().allocated == (6_000, 0)


def test_lease_that_never_reached_its_worker_is_not_kept_charged() -> None:
    fleet = GpuFleet(slow=True)
    job = infer(fleet, 6_000)
    fleet.submit(job)
    fleet.commit_intake()
    fleet.reach(card())
    fleet.engine.session_closed(WorkerId("w1"), 1, fleet.now)
    fleet.slow = False
    fleet.settle()
    assert (job.state, fleet.released[-1].vram) == (JobState.PENDING, Vram.FREED)
    assert fleet.engine.ledger.accounts == {}


# ---- takeover ----


def test_new_leader_takes_over_the_accounts_and_what_lingers() -> None:
    fleet = GpuFleet()
    lost(fleet)
    account = fleet.account()
    engine = Engine(term=2, rules=Rules())
    engine.restore_ledger(
        [KeptAccount(card=account.card, host=account.host, bounds=account.bounds)], account.charges.values()
    )
    restored = engine.ledger.accounts[account.id]
    assert (restored.allocated, restored.state()) == ((6_000, 0), AccountState.UNREACHED)
    engine.tick(fleet.now + RULES.ledger.orphan_limit_s + 1)
    assert engine.ledger.accounts == {}
    assert [type(effect) for effect in engine.turn] == [FreeVram]


def test_changed_margin_holds_as_soon_as_the_charges_allow_it() -> None:
    engine = Engine(term=2, rules=Rules())
    one, other = card("GPU-1", 8_000), card("GPU-2", 8_000)
    wide = [
        KeptAccount(
            card=each,
            host="atlas",
            bounds=Bounds(capacity_mib=each.memory_mib, margin_mib=0, encoder_sessions_max=None),
        )
        for each in (one, other)
    ]
    full = charge("GPU-1", 8_512)
    some = charge("GPU-2", 100)
    engine.restore_ledger(wide, [full, some])
    kept = [effect for effect in engine.turn if isinstance(effect, KeepDevice)]
    assert [(effect.card.id, effect.bounds.margin_mib) for effect in kept] == [("GPU-2", 512)]


def test_overdraft_is_refused_in_memory_as_well() -> None:
    fleet = GpuFleet()
    fleet.reach(card("GPU-1", 8_000))
    with pytest.raises(ValueError, match="cannot be charged"):
        fleet.engine.ledger.charge(charge("GPU-1", 8_001))
