"""The laws of the ledger, whatever happens in which order: never overdrawn, the fold of the live leases, at
zero when everything has ended."""

from collections.abc import Iterator
from dataclasses import dataclass

from callsheet_scheduler.domain.device import ENCODER_SESSIONS, LeaseKey, held_by
from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.job import LiveJob, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF, scopes_of
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.domain.placing import room_for, spot_for
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from callsheet.catalog import Category
from tests.support.engines import START
from tests.support.gpu_fleet import GpuFleet, card, encode, infer

WORKERS = st.sampled_from(("w0", "w1", "w2"))
ENDINGS = st.sampled_from((None, Ending.TRANSIENT, Ending.RETURNED, Ending.CAPACITY, Ending.BAD_INPUT))

#: The cards that each worker reaches.
CARDS = {
    "w0": (card("GPU-a", 6_000, sessions=2), card("GPU-b", 9_000)),
    "w1": (card("GPU-a", 6_000, sessions=2),),
    "w2": (card("GPU-c", 4_000, sessions=1), card("GPU-b", 8_000)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an attempt holds, as it was granted: the job's record goes on changing."""

    grant: SendGrant
    device: str
    vram_mib: int


class LedgerMachine(RuleBasedStateMachine):
    """A fleet of three workers on three cards, two of which are shared."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = GpuFleet().unlimited()
        self.sessions: dict[str, int] = {}
        """The open stream of each worker that has one."""
        self.held: dict[str, dict[LeaseKey, Held]] = {name: {} for name in CARDS}
        self.heard_at = dict.fromkeys(CARDS, START)
        """When each worker last spoke with the scheduler."""
        self.opened = 0

    @rule(vram_mib=st.integers(0, 12_000), encodes=st.booleans())
    def submit(self, vram_mib: int, *, encodes: bool) -> None:
        make = encode if encodes else infer
        self.fleet.submit(make(self.fleet, vram_mib))
        self.take()

    @rule(name=WORKERS, knows=st.booleans())
    def come(self, name: str, *, knows: bool) -> None:
        """A worker opens a stream, as the same process or, without knowing of its leases, as a new one."""
        if not knows:
            self.held[name].clear()
        self.opened += 1
        self.sessions[name] = self.opened
        self.heard_at[name] = self.fleet.now
        held = list(self.held[name])
        host = "atlas" if name != "w2" else "borea"
        self.fleet.reach(*CARDS[name], worker=name, session=self.opened, host=host, held=held, slots=8)
        self.take()

    @rule(name=WORKERS)
    def drop(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is not None:
            self.fleet.engine.session_closed(WorkerId(name), session, self.fleet.now)

    @rule(name=WORKERS)
    def leave(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is not None:
            self.held[name].clear()
            self.fleet.engine.goodbye(WorkerId(name), session, self.fleet.now)
            self.fleet.settle()
            self.take()

    @rule(name=WORKERS, ending=ENDINGS, which=st.integers(0, 9))
    def end(self, name: str, ending: Ending | None, which: int) -> None:
        leases = list(self.held[name])
        if name not in self.sessions or not leases:
            return
        job_id, token = leases[which % len(leases)]
        grant = self.held[name].pop((job_id, token)).grant
        grant.session = self.sessions[name]
        if ending is None:
            self.fleet.complete(grant, name)
        else:
            self.fleet.fail(grant, ending, name)
        self.take()

    @rule(
        name=WORKERS,
        strangers_mib=st.sampled_from((0, 0, 2_000, 20_000)),
        sessions=st.integers(0, 2),
        gone=st.booleans(),
        memory_mib=st.sampled_from((0, 0, 3_000)),
    )
    def look(self, name: str, strangers_mib: int, sessions: int, memory_mib: int, *, gone: bool) -> None:
        if name not in self.sessions:
            return
        self.heard_at[name] = self.fleet.now
        for one in CARDS[name]:
            mine = {lease: held for lease, held in self.held[name].items() if held.device == one.id}
            self.fleet.see(
                name,
                one.id,
                used_mib=strangers_mib + self.filled_mib(one.id),
                ours_mib=sum(held.vram_mib for held in mine.values()),
                encoder_sessions=sessions,
                gone=gone,
                memory_mib=memory_mib,
                held=frozenset(mine),
            )
        self.take()

    @rule(encode=st.integers(0, 4), ai=st.integers(1, 4))
    def limit(self, encode: int, ai: int) -> None:
        self.fleet.limit(host={SCOPE_OF[Category.GPU_ENCODE]: encode, SCOPE_OF[Category.GPU_AI]: ai})
        self.take()

    @rule(seconds=st.sampled_from((1, 20, 31, 500, 1_000)))
    def later(self, seconds: int) -> None:
        self.fleet.now += seconds
        for name, leases in self.held.items():
            if self.fleet.now - self.heard_at[name] > self.fleet.engine.rules.ledger.orphan_limit_s:
                leases.clear()  # a worker that hears nothing for so long stops its attempts
        self.fleet.wait(0)
        self.take()

    def take(self) -> None:
        """Let workers hear of their leases; what goes to no open stream is lost on its way."""
        names = {session: name for name, session in self.sessions.items()}
        for grant in self.fleet.grants():
            if grant.session in names:
                lease = (grant.job.id, grant.token)
                self.held[names[grant.session]][lease] = Held(
                    grant=grant, device=grant.job.device or "", vram_mib=grant.job.vram_mib
                )

    def filled_mib(self, name: str) -> int:
        """Return what the attempts that workers know of hold of a card."""
        known = [held for leases in self.held.values() for held in leases.values()]
        return sum(held.vram_mib for held in known if held.device == name)

    @invariant()
    def no_account_is_overdrawn(self) -> None:
        for account in self.fleet.engine.ledger.accounts.values():
            needs = [charge.need for charge in account.charges.values()]
            assert account.allocated == (sum(need[0] for need in needs), sum(need[1] for need in needs))
            assert account.bounds.allow(account.allocated)

    @invariant()
    def readings_only_make_less_of_what_is_free(self) -> None:
        for account in self.fleet.engine.ledger.accounts.values():
            static_mib = account.bounds.usable_mib - account.allocated.vram_mib
            assert 0 <= self.fleet.free_mib(account.id) <= static_mib

    @invariant()
    def ledger_is_the_fold_of_the_live_leases(self) -> None:
        engine = self.fleet.engine
        charged = {
            lease
            for account in engine.ledger.accounts.values()
            for lease, charge in account.charges.items()
            if charge.lingers_since is None
        }
        leased = [engine.queue.jobs[job_id] for one in engine.fleet.workers.values() for job_id in one.leases]
        assert charged == {(job.id, job.token) for job in leased if held_by(job) is not None}

    @invariant()
    def room_that_is_known_is_the_room_that_a_look_at_every_worker_finds(self) -> None:
        engine, now = self.fleet.engine, self.fleet.now
        for make in (encode, infer):
            job = make(self.fleet, 3_000)
            free_mib = list(self.rooms_mib(job))
            sort = (job.category, job.type, job.root)
            assert room_for(engine.fleet, engine.ledger, sort, now) == max(free_mib, default=None)
            enough_mib = [one for one in free_mib if one >= job.vram_mib]
            spot = spot_for(engine.fleet, engine.ledger, job, now)
            found_mib = None if spot is None else self.fleet.free_mib(spot.device)
            assert found_mib == min(enough_mib, default=None)

    def rooms_mib(self, job: LiveJob) -> Iterator[int]:
        """Yield what is free on each card for *job*."""
        engine = self.fleet.engine
        scopes = scopes_of(job.category, job.type)
        for worker in engine.fleet.ready_for_gpu_jobs():
            if engine.fleet.full_scope_on(worker.capability.host, scopes) is None:
                for account in engine.ledger.reached_by(worker.capability.id):
                    free = account.free(self.fleet.now, engine.ledger.rules.fresh_s)
                    if free.encoder_sessions >= ENCODER_SESSIONS[job.category]:
                        yield free.vram_mib

    @invariant()
    def what_an_attempt_may_hold_is_charged(self) -> None:
        charged = {
            lease for account in self.fleet.engine.ledger.accounts.values() for lease in account.charges
        }
        for leases in self.held.values():
            assert leases.keys() <= charged

    @override
    def teardown(self) -> None:
        for name in CARDS:
            self.come(name, knows=False)
            self.leave(name)
        ledger = self.fleet.engine.ledger
        assert (ledger.accounts, ledger.lingering) == ({}, {})


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
