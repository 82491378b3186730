"""No lease is granted where people said no, whatever happens in which order."""

from collections import Counter
from collections.abc import Sequence

from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LEASED, JobState, LiveJob, WorkerId
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.use_cases.waiting import waiting_reason
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engines import SCAN, SCOPES, Drive, new_job

ACTIONS = [
    *("submit", "complete", "end", "hello", "come back", "drop", "cancel", "pause", "resume", "prioritize"),
    *("pause scope", "resume scope", "limit", "drain", "work again", "later"),
]
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11)), max_size=60)
ENDINGS = [
    Ending.PAUSED,
    Ending.CANCELLED,
    Ending.TRANSIENT,
    Ending.RETURNED,
    Ending.CAPACITY,
    Ending.BAD_INPUT,
]


class World:
    """An engine, and what its workers know: leases that reached them and that they did not report on."""

    def __init__(self, *, slow: bool = False) -> None:
        self.drive = Drive(slow=slow)
        self.accepted: list[LiveJob] = []
        self.sessions: dict[str, int] = {}
        """The open stream of each worker that has one."""
        self.known: list[tuple[str, SendGrant]] = []
        self.opened = 0

    @property
    def engine(self) -> Engine:
        return self.drive.engine

    @property
    def live(self) -> list[LiveJob]:
        return [job for job in self.accepted if job.id in self.drive.engine.queue.jobs]

    def step(self, action: str, choice: int) -> list[SendGrant]:
        """Let something happen, and return the leases that were sent."""
        match action:
            case "commit intake":
                self.drive.commit_intake()
            case "commit turn":
                self.drive.commit_turn()
            case "submit":
                self.accepted.append(new_job(self.engine, at=self.drive.now, priority=choice % 10 + 1))
                self.drive.submit(self.accepted[-1])
            case "later":
                self.drive.wait(12.0 * choice)
            case "complete" | "end":
                self.result(ENDINGS[choice % len(ENDINGS)] if action == "end" else None, choice)
            case "hello" | "come back" | "drop" | "drain" | "work again":
                self.worker(action, f"w{choice % 3}")
            case "pause scope" | "resume scope" | "limit":
                self.scope(action, choice)
            case _ if asked := [job for job in self.live if not job.busy]:
                self.ask(action, asked[choice % len(asked)], choice)
            case _:
                pass
        self.drive.settle()
        return self.heard()

    def heard(self) -> list[SendGrant]:
        """Let workers hear of their leases, unless the stream is gone; return what was sent."""
        grants = self.drive.grants()
        names = {session: name for name, session in self.sessions.items()}
        self.known += [(names[grant.session], grant) for grant in grants if grant.session in names]
        return grants

    def result(self, ending: Ending | None, choice: int = 0) -> None:
        """Let a worker that has a stream report on a lease: its success, or how it ended."""
        reporting = [(name, grant) for name, grant in self.known if name in self.sessions]
        if not reporting:
            return
        name, grant = reporting[choice % len(reporting)]
        self.known.remove((name, grant))
        if ending is None:
            self.drive.complete(grant, name)
        else:
            self.drive.fail(grant, ending, name)

    def worker(self, action: str, name: str) -> None:
        match action:
            case "hello":
                self.known = [(holder, grant) for holder, grant in self.known if holder != name]
                self.connect(name)
            case "come back":
                self.connect(name)
            case "drop" if name in self.sessions:
                self.engine.session_closed(WorkerId(name), self.sessions.pop(name), self.drive.now)
            case "drain" | "work again":
                self.drive.drain(name, draining=action == "drain")
            case _:
                pass

    def connect(self, name: str) -> None:
        """Open a stream with the leases that the worker knows; the stale ones it forgets."""
        self.opened += 1
        self.sessions[name] = self.opened
        held = [(grant.job.id, grant.token) for holder, grant in self.known if holder == name]
        stale = self.drive.hello(
            name, session=self.opened, host=f"h{name[1:]}", slots=max(3, len(held)), held=held
        )
        self.known = [
            (holder, grant)
            for holder, grant in self.known
            if holder != name or (grant.job.id, grant.token) not in stale
        ]

    def scope(self, action: str, choice: int) -> None:
        scope = SCOPES[choice % 3]
        match action:
            case "pause scope":
                self.drive.pause_scope(scope)
            case "resume scope":
                self.engine.resume_scope(scope, self.drive.now)
            case _:
                self.drive.limit(host={scope: choice % 4}, fleet={scope: choice % 5})

    def ask(self, action: str, job: LiveJob, choice: int) -> None:
        match action:
            case "cancel":
                self.engine.cancel(job, by="", now=self.drive.now)
            case "pause":
                self.engine.pause(job, self.drive.now)
            case "resume":
                self.engine.resume(job)
            case _:
                self.engine.prioritize(job, choice % 10 + 1)


def counts(world: World) -> dict[str, int]:
    """Return how many leases each scope has on each host and in all."""
    leased = [job for job in world.live if job.state in LEASED]
    found = Counter(f"{job.host}/{scope}" for job in leased for scope in SCOPES)
    return found + Counter(scope for _ in leased for scope in SCOPES)


@settings(max_examples=200)
@given(STEPS)
def test_no_new_lease_where_people_said_no_whatever_happens(steps: Sequence[tuple[str, int]]) -> None:
    world = World()
    engine = world.drive.engine
    for action, choice in steps:
        cancelled = {job.id for job in world.live if job.cancel_requested_at is not None}
        grants = world.step(action, choice)
        held = counts(world)
        for grant in grants:
            job = grant.job
            assert grant.job.id not in cancelled
            assert engine.pauses.hold(job) is None
            assert job.worker_id not in engine.fleet.drained
            for scope in SCOPES:
                assert held[f"{job.host}/{scope}"] <= engine.fleet.limits.host.get(scope, 10**6)
                assert held[scope] <= engine.fleet.limits.fleet.get(scope, 10**6)
        check_accounts(world, held)


def check_accounts(world: World, held: dict[str, int]) -> None:
    """The accounts are the sum of the leases; paused jobs are in no lane; each job is somewhere once."""
    engine = world.drive.engine
    for scope in SCOPES:
        assert engine.fleet.running(scope) == held[scope]
        for host in ("h0", "h1", "h2"):
            assert engine.fleet.running_on(host, scope) == held[f"{host}/{scope}"]
    done = [effect.job.id for effect in world.drive.finished]
    assert len(done) == len(set(done))
    assert {job.id for job in world.live} | set(done) == {job.id for job in world.accepted}
    for job in world.live:
        waits = any(job in lane for lane in engine.queue.lanes.values())
        assert waits <= (job.state is JobState.PENDING)
        assert waits or job.state is not JobState.PENDING or job.ready_at > world.drive.now
        reason = waiting_reason(engine, job, world.drive.now)
        assert bool(reason) <= (job.state in {JobState.PENDING, JobState.PAUSED})


def let_everything_go_on(world: World) -> None:
    """Take back all that people said, and open a stream for each worker that has none."""
    drive, engine = world.drive, world.engine
    drive.slow = False
    drive.settle()
    drive.limit()
    for scope in SCOPES:
        engine.resume_scope(scope, drive.now)
    for name in ("w0", "w1", "w2"):
        drive.drain(name, draining=False)
        if name not in world.sessions:
            world.connect(name)
    drive.settle()
    for job in world.live:
        engine.resume(job)
    drive.settle()


#: Often enough committed and started afresh for something to happen in between.
SLOW_ACTIONS = [
    *ACTIONS,
    *("commit intake", "commit turn", "commit turn", "commit turn", "submit", "hello", "hello"),
]
SLOW_STEPS = st.lists(st.tuples(st.sampled_from(SLOW_ACTIONS), st.integers(0, 5)), min_size=20, max_size=120)


@settings(max_examples=300)
@given(SLOW_STEPS)
def test_queue_drains_once_people_let_it_however_slow_commits_were(steps: Sequence[tuple[str, int]]) -> None:
    """What happens between a decision and its commit loses no job and no lease."""
    world = World(slow=True)
    drive, engine = world.drive, world.engine
    for action, choice in steps:
        world.step(action, choice)
        check_leases(world)
    let_everything_go_on(world)
    for _ in range(60):
        world.heard()
        while world.known:
            world.result(None)
            world.heard()
        drive.now += 600.0
        for name in world.sessions:
            engine.heard(WorkerId(name), load=0.0, now=drive.now)
        engine.tick(drive.now)
        drive.settle()
    assert [(job.state.name, job.busy) for job in world.live] == []
    assert len(drive.finished) == len({effect.job.id for effect in drive.finished}) == len(world.accepted)
    assert [engine.fleet.running(scope) for scope in SCOPES] == [0, 0, 0]
    assert not any(worker.leases for worker in engine.fleet.workers.values())


def check_leases(world: World) -> None:
    """The accounts are the sum of the leases, each of which one worker holds."""
    engine = world.engine
    leases = [job_id for worker in engine.fleet.workers.values() for job_id in worker.leases]
    assert len(leases) == len(set(leases))
    jobs = [engine.queue.jobs[job_id] for job_id in leases]
    assert engine.fleet.running(SCAN) == len(jobs)
    for host in ("h0", "h1", "h2"):
        assert engine.fleet.running_on(host, SCAN) == sum(job.host == host for job in jobs)
    assert all(job.state in LEASED for job in jobs)
