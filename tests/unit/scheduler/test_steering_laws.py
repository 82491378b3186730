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

from tests.support.engines import SCOPES, Drive, new_job

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("submit", "complete", "end", "hello", "drop", "cancel", "pause", "resume", "prioritize"),
                *("pause scope", "resume scope", "limit", "drain", "work again", "later"),
            ]
        ),
        st.integers(0, 11),
    ),
    max_size=60,
)
ENDINGS = [
    Ending.PAUSED,
    Ending.CANCELLED,
    Ending.TRANSIENT,
    Ending.RETURNED,
    Ending.CAPACITY,
    Ending.BAD_INPUT,
]


class World:
    """An engine, and everything that was granted."""

    def __init__(self) -> None:
        self.drive = Drive()
        self.accepted: list[LiveJob] = []
        self.open: list[SendGrant] = []
        self.session = 0

    @property
    def engine(self) -> Engine:
        return self.drive.engine

    @property
    def live(self) -> list[LiveJob]:
        return [job for job in self.accepted if job.id in self.drive.engine.queue.jobs]

    def step(self, action: str, choice: int) -> None:
        match action:
            case "submit":
                self.accepted.append(new_job(self.engine, at=self.drive.now, priority=choice % 10 + 1))
                self.drive.submit(self.accepted[-1])
            case "later":
                self.drive.wait(12.0 * choice)
            case "complete" | "end":
                self.result(action, choice)
            case "hello" | "drop" | "drain" | "work again":
                self.worker(action, choice)
            case "pause scope" | "resume scope" | "limit":
                self.scope(action, choice)
            case _ if self.live:
                self.ask(action, self.live[choice % len(self.live)], choice)
            case _:
                pass
        self.drive.settle()

    def result(self, action: str, choice: int) -> None:
        grant = self.open[choice % len(self.open)] if self.open else None
        if grant is None or grant.job not in self.live:
            return
        holder = str(grant.job.worker_id)
        if action == "complete":
            self.drive.complete(grant, holder)
        else:
            self.drive.fail(grant, ENDINGS[choice % len(ENDINGS)], holder)

    def worker(self, action: str, choice: int) -> None:
        name = WorkerId(f"w{choice % 3}")
        known = self.engine.fleet.workers.get(name)
        match action:
            case "hello":
                self.session += 1
                self.drive.hello(name, session=self.session, host=f"h{choice % 2}", slots=3)
            case "drop" if known is not None and known.session is not None:
                self.engine.session_closed(name, known.session, self.drive.now)
            case "drain" | "work again":
                self.drive.drain(name, draining=action == "drain")
            case _:
                pass

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
        world.step(action, choice)
        grants = world.drive.grants()
        fresh = [grant for grant in grants if grant not in world.open]
        world.open += fresh
        held = counts(world)
        for grant in fresh:
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
        for host in ("h0", "h1"):
            assert engine.fleet.running_on(host, scope) == held[f"{host}/{scope}"]
    done = [effect.job.id for effect in world.drive.finished]
    assert len(done) == len(set(done))
    assert {job.id for job in world.live} | set(done) == {job.id for job in world.accepted}
    for job in world.live:
        waits = any(job in lane for lane in engine.queue.lanes.values())
        assert waits <= (job.state is JobState.PENDING)
        assert waits or job.state is not JobState.PENDING or job.ready_at > 0
        reason = waiting_reason(engine, job, world.drive.now)
        assert bool(reason) <= (job.state in {JobState.PENDING, JobState.PAUSED})
