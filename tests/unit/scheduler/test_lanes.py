"""The order of the queue: more urgent first, first come first served, and nobody waits for ever."""

from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.lanes import AGING_STEP_S, Lane, place_of
from callsheet_scheduler.domain.rules import Rules
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.support.engines import START, new_job

ENGINE = Engine(term=1, rules=Rules())

PRIORITIES = st.integers(1, 10)
WAITS_S = st.floats(0, 12 * AGING_STEP_S, allow_nan=False)


def job(priority: int = 5, *, at: float = START, interactive: bool = False, kind: str = "scan") -> LiveJob:
    return new_job(ENGINE, at=at, priority=priority, interactive=interactive, type=kind)


@st.composite
def any_job(draw: st.DrawFn) -> LiveJob:
    kind = draw(st.sampled_from(["scan", "validate", "thumbnail_generate"]))
    at = START + draw(WAITS_S)
    return job(draw(PRIORITIES), at=at, interactive=draw(st.booleans()), kind=kind)


JOBS = any_job()


@given(PRIORITIES, PRIORITIES)
def test_of_two_jobs_of_one_instant_the_more_urgent_is_sooner(first: int, second: int) -> None:
    one, other = job(first), job(second)
    assert (place_of(one) < place_of(other)) is (first <= second)


@given(PRIORITIES, st.lists(st.booleans(), min_size=2, max_size=9))
def test_equal_jobs_stand_in_the_order_of_arrival(priority: int, jobs: list[bool]) -> None:
    arrived = [job(priority, interactive=jobs[0]) for _ in jobs]
    assert sorted(arrived, key=place_of) == arrived


@given(PRIORITIES)
def test_interactive_job_is_before_the_others_of_its_priority_and_behind_more_urgent_ones(
    priority: int,
) -> None:
    bulk, interactive = job(priority), job(priority, interactive=True)
    assert place_of(interactive) < place_of(bulk)
    if priority > 1:
        assert place_of(job(priority - 1)) < place_of(interactive)


@given(PRIORITIES, PRIORITIES, WAITS_S)
def test_job_overtakes_what_came_a_step_later_for_each_level(mine: int, other: int, later_s: float) -> None:
    early, late = job(mine), job(other, at=START + later_s)
    assert (place_of(early) < place_of(late)) is (
        START + mine * AGING_STEP_S <= late.created_at + other * AGING_STEP_S
    )


@given(JOBS)
def test_nothing_that_comes_nine_and_a_half_steps_later_goes_before_a_job(old: LiveJob) -> None:
    latest = max(old.created_at, START)
    newcomer = job(1, at=latest + 9.5 * AGING_STEP_S + 1, interactive=True)
    assert place_of(old) < place_of(newcomer)


@given(JOBS, PRIORITIES)
def test_place_after_reprioritising_is_that_of_a_job_that_came_with_that_priority(
    changed: LiveJob, priority: int
) -> None:
    before = place_of(changed)
    was = changed.priority
    changed.priority = priority
    after = place_of(changed)
    assert after[1:] == before[1:]
    assert abs((after[0] - before[0]) - (priority - was) * AGING_STEP_S) < 1e-3


@given(st.lists(JOBS, max_size=30))
def test_heads_are_the_first_of_each_kind_and_positions_count_all_kinds(jobs: list[LiveJob]) -> None:
    lane = Lane()
    for one in jobs:
        lane.add(one)
    ordered = sorted(jobs, key=place_of)
    heads = list(lane.heads())
    assert [place for place, _ in heads] == sorted(place for place, _ in heads)
    firsts = {kind: next(one for one in ordered if one.type == kind[0]) for _, kind in heads}
    assert dict(heads) == {place_of(one): kind for kind, one in firsts.items()}
    assert {kind[0] for _, kind in heads} == {one.type for one in jobs}
    assert [lane.position(one) for one in ordered] == list(range(1, len(jobs) + 1))
    assert len(lane) == len(jobs)


def taken_out(lane: Lane) -> list[str]:
    order: list[str] = []
    while heads := list(lane.heads()):
        order += lane.take(heads[0][1], 1)
    return order


@given(st.lists(JOBS, max_size=30))
def test_taking_the_first_head_again_and_again_gives_the_whole_order(jobs: list[LiveJob]) -> None:
    lane = Lane()
    for one in jobs:
        lane.add(one)
    assert taken_out(lane) == [one.id for one in sorted(jobs, key=place_of)]


class LaneMachine(RuleBasedStateMachine):
    """A lane beside a plain sorted list."""

    waiting = Bundle("waiting")
    gone = Bundle("gone")

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane()
        self.model: list[LiveJob] = []

    @rule(target=waiting, one=JOBS)
    def add(self, one: LiveJob) -> LiveJob:
        self.lane.add(one)
        self.model.append(one)
        return one

    @rule(target=waiting, one=consumes(gone))
    def come_back(self, one: LiveJob) -> LiveJob:
        self.lane.add(one)
        self.model.append(one)
        return one

    @rule(target=gone, one=consumes(waiting))
    def discard(self, one: LiveJob) -> LiveJob:
        for _ in range(2):
            self.lane.discard(one)
        if one in self.model:
            self.model.remove(one)
        return one

    @rule(target=waiting, one=consumes(waiting), priority=PRIORITIES)
    def reprioritise(self, one: LiveJob, priority: int) -> LiveJob:
        waits = one in self.lane
        self.lane.discard(one)
        one.priority = priority
        if waits:
            self.lane.add(one)
        return one

    @rule()
    def pop_the_first(self) -> None:
        heads = list(self.lane.heads())
        if heads:
            first = min(self.model, key=place_of)
            assert self.lane.take(heads[0][1], 1) == [first.id]
            self.model.remove(first)

    @invariant()
    def lane_is_the_model(self) -> None:
        assert len(self.lane) == len(self.model)
        for position, one in enumerate(sorted(self.model, key=place_of), 1):
            assert one in self.lane
            assert self.lane.position(one) == position


TestLane = LaneMachine.TestCase
