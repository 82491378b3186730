"""The policy keeps its laws whatever the server, people and the network do between two looks."""

from collections import Counter
from dataclasses import replace

from callsheet_immich_agent.policy import (
    UNMANAGED,
    Action,
    Command,
    Hold,
    Leases,
    Memory,
    QueueSeen,
    Rules,
    decide,
    restore,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support.immich_queues import SimulatedImmich

NAMES = ("sidecar", "thumbnailGeneration", "smartSearch", "videoConversion", "ocr", "backgroundTask")
names = st.sampled_from(NAMES)


class Outcome:
    """What becomes of a request: done, refused, lost before it took effect, or after, or it is yet to."""

    DONE, REFUSED, LOST, UNHEARD, LATE = range(5)


outcomes = st.lists(st.sampled_from([Outcome.DONE] * 5 + [1, 2, 3, 4]), min_size=12, max_size=12)


class PolicyLaws(RuleBasedStateMachine):
    """A controller, the server it steers, people who meddle, and crashes."""

    server: SimulatedImmich
    wanted: Rules
    memory: Memory
    kept: dict[str, Hold]
    opened: set[str]
    """What is open because we opened it."""
    by_people: set[str]
    """What people keep paused."""
    late: set[str]
    """Pauses without an answer that the server has yet to act on."""

    @initialize(
        limit=st.integers(0, 4),
        settle=st.integers(1, 3),
        stall=st.integers(2, 4),
        adopt=st.booleans(),
        paused=st.sets(names),
        backlog=st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(0, 6))),
    )
    def begin(
        self, *, limit: int, settle: int, stall: int, adopt: bool, paused: set[str], backlog: dict[str, int]
    ) -> None:
        self.server = SimulatedImmich(backlog, names=NAMES)
        for name in paused:
            self.server.pause(name)
        self.server.start()
        self.wanted = Rules(limit=limit, settle_looks=settle, stall_looks=stall, adopt=adopt)
        self.memory, self.kept, self.opened = Memory(), {}, set()
        self.by_people = set() if adopt else paused - UNMANAGED
        self.found = paused & UNMANAGED
        self.late = set()

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.server.advance(seconds)

    @rule(name=names, jobs=st.integers(1, 9), delayed=st.integers(0, 2))
    def work_comes(self, name: str, jobs: int, delayed: int) -> None:
        self.server.queues[name].waiting += jobs
        self.server.queues[name].delayed = delayed
        self.server.start()

    @rule(name=names, workers=st.integers(0, 2))
    def the_workers_of_a_queue_stop_or_come_back(self, name: str, workers: int) -> None:
        self.server.queues[name].workers = workers
        self.server.start()

    @rule(paused=st.booleans())
    def the_controller_is_paused_or_goes_on(self, *, paused: bool) -> None:
        self.wanted = replace(self.wanted, paused=paused)

    @rule(name=names)
    def somebody_opens(self, name: str) -> None:
        self.server.resume(name)
        self.by_people.discard(name)
        self.found.discard(name)

    @rule(name=names)
    def somebody_pauses_what_was_seen_open(self, name: str) -> None:
        """What we are in doubt about cannot be told from our own late pause."""
        if self.memory.holds.get(name) is Hold.OPEN and not self.server.queues[name].paused:
            self.server.queues[name].paused = True
            self.by_people.add(name)
            self.opened.discard(name)

    @rule()
    def late_pauses_take_effect(self) -> None:
        """Nobody else can be told from us then: they are ours to open."""
        for name in self.late:
            self.server.queues[name].paused = True
            self.opened.discard(name)
        self.late.clear()

    @rule(jobs=st.integers(1, 3))
    def work_comes_to_what_is_paused_late_and_the_controller_ends(self, jobs: int) -> None:
        """It runs then, so it is seen open although its pause is still to come."""
        self.a_look([Outcome.LATE] * 12, {})
        for name in sorted(self.late):
            self.work_comes(name, jobs, 0)
        self.a_look([Outcome.DONE] * 12, {})
        self.a_clean_end()

    @rule(looks=st.integers(2, 12))
    def all_goes_well_for_a_while(self, looks: int) -> None:
        for _ in range(looks):
            self.a_look([Outcome.DONE] * 12, {})
            self.server.advance(10)

    @rule(fates=outcomes, meanwhile=st.dictionaries(names, st.integers(1, 3), max_size=2))
    def a_look(self, fates: list[int], meanwhile: dict[str, int]) -> None:
        """Look, and act on it although work has come *meanwhile*."""
        seen = self.server.seen()
        decision = decide(seen, self.memory, self.wanted)
        assert not (self.wanted.paused and decision.actions)
        self.memory = decision.memory
        self.check_order(decision.actions)
        self.keep()
        busy = {queue.name for queue in seen if queue.active}
        for name, jobs in meanwhile.items():
            self.work_comes(name, jobs, 0)
        failed_pauses = 0
        resumes = [action for action in decision.actions if action.command is Command.RESUME]
        for action, fate in zip(decision.actions, fates, strict=False):
            if action.command is Command.RESUME and action in resumes[len(resumes) - failed_pauses :]:
                continue
            failed_pauses += self.ask(action, fate, busy)

    def ask(self, action: Action, fate: int, busy: set[str]) -> bool:
        """Ask the server, and return whether a pause did not succeed."""
        assert action.queue not in UNMANAGED
        if action.command is Command.PAUSE:
            assert action.queue not in busy
        else:
            assert action.queue not in self.by_people
            others = busy - UNMANAGED
            assert len((self.opened & self.server.open()) | others | {action.queue}) <= self.wanted.limit
        self.late.discard(action.queue)
        if fate == Outcome.LATE and action.command is Command.PAUSE:
            self.late.add(action.queue)
        if fate in {Outcome.DONE, Outcome.UNHEARD}:
            self.server.apply(action)
            (self.opened.add if action.command is Command.RESUME else self.opened.discard)(action.queue)
        after = {
            (Command.PAUSE, Outcome.DONE): self.memory.paused,
            (Command.PAUSE, Outcome.REFUSED): self.memory.refused,
            (Command.RESUME, Outcome.DONE): self.memory.resumed,
        }.get((action.command, fate))
        if after is not None:
            self.memory = after(action.queue)
        elif action.command is Command.PAUSE:
            self.memory = self.memory.doubting(action.queue)
        self.keep()
        return action.command is Command.PAUSE and fate != Outcome.DONE

    def keep(self) -> None:
        self.kept = dict(self.memory.holds)

    def check_order(self, actions: tuple[Action, ...]) -> None:
        """What is opened, but for what still runs, is the most urgent that has jobs to start and workers."""
        queues = self.server.queues
        fresh = [
            action.queue
            for action in actions
            if action.command is Command.RESUME
            and queues[action.queue].waiting
            and not queues[action.queue].active
        ]
        passed = [
            name
            for name in NAMES
            if queues[name].paused
            and queues[name].waiting
            and name not in fresh
            and not queues[name].active
            and name not in UNMANAGED | self.by_people
        ]

        def rank(name: str) -> tuple[bool, tuple[int, str]]:
            return name in self.memory.stalled, self.wanted.rank(name)

        assert fresh == sorted(fresh, key=rank)
        assert not fresh or all(rank(name) > rank(fresh[-1]) for name in passed)

    @rule()
    def a_crash(self) -> None:
        """What was kept on disk is all that is left; the server has seen to what it was asked."""
        self.late_pauses_take_effect()
        self.memory = Memory(holds=self.kept)

    @rule()
    def a_clean_end(self) -> None:
        """Whatever we keep is open again, and nothing else is changed."""
        self.late_pauses_take_effect()
        others = {name for name in self.by_people if self.server.queues[name].paused}
        self.memory = decide(self.server.seen(), self.memory, self.wanted).memory
        for action in restore(self.memory, self.wanted):
            self.server.apply(action)
            self.memory = self.memory.resumed(action.queue)
        assert set(NAMES) - self.server.open() == others | self.found
        self.opened.clear()
        self.memory, self.kept = Memory(), {}
        for name in others:
            self.server.resume(name)
        self.by_people.clear()

    @rule()
    def nothing_changes(self) -> None:
        """Look after look at a server that stands still, each queue is turned at most twice."""
        wanted = replace(self.wanted, stall_looks=1000)
        still = SimulatedImmich(names=NAMES)
        still.queues = dict(self.server.queues)
        seen = {queue.name: queue for queue in still.seen()}
        memory, turns = self.memory, Counter[str]()
        last: tuple[Action, ...] = ()
        for _ in range(12):
            decision = decide(seen.values(), memory, wanted)
            memory, last = decision.memory, decision.actions
            for action in last:
                turns[action.queue] += 1
                old, pause = seen[action.queue], action.command is Command.PAUSE
                seen[action.queue] = type(old)(
                    name=old.name,
                    paused=pause,
                    active=old.active,
                    waiting=0 if pause else old.due,
                    held=old.due if pause else 0,
                    delayed=old.delayed,
                )
                memory = (memory.paused if pause else memory.resumed)(action.queue)
        assert last == ()
        assert all(times <= 2 for times in turns.values())


PolicyLaws.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestPolicyLaws = PolicyLaws.TestCase


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[QueueSeen], Memory, Rules, Leases]:
    """Queues, what is remembered of them, rules, and leases that no controller may have brought about."""
    queues = [
        QueueSeen(
            name=name,
            paused=draw(st.booleans()),
            active=draw(st.integers(0, 2)),
            waiting=draw(st.integers(0, 2)),
            delayed=draw(st.integers(0, 1)),
        )
        for name in NAMES
    ]
    managed = [name for name in NAMES if name not in UNMANAGED]
    held = draw(st.sets(st.sampled_from(managed), max_size=4))
    recalled = draw(st.sets(st.sampled_from(managed), max_size=2)) - held
    asked = draw(st.sets(st.sampled_from(managed))) - held - recalled
    holds = {queue.name: Hold.OURS if queue.paused else Hold.OPEN for queue in queues}
    leases = Leases(held=frozenset(held), recalled=frozenset(recalled), asked=frozenset(asked))
    rules = Rules(limit=draw(st.integers(0, 4)), paused=draw(st.booleans()))
    return queues, Memory(holds=holds), rules, leases


@given(situations())
def test_queues_run_by_leases_that_are_asked_for_in_order_and_end_when_nothing_is_active(
    situation: tuple[list[QueueSeen], Memory, Rules, Leases],
) -> None:
    queues, memory, rules, leases = situation
    decision = decide(queues, memory, rules, leases)
    named = {queue.name: queue for queue in queues}
    resumed = {action.queue for action in decision.actions if action.command is Command.RESUME}
    paused = {action.queue for action in decision.actions if action.command is Command.PAUSE}
    bound = leases.held | leases.recalled
    without = [
        queue
        for queue in queues
        if queue.name not in bound | UNMANAGED and (queue.paused or not queue.active) and queue.due
    ]
    asks = [name for name in decision.asks if name in {queue.name for queue in without}]
    running = {queue.name for queue in queues if queue.active} - UNMANAGED

    if rules.paused:
        assert not decision.actions
        assert set(decision.asks) == {name for name in running - bound if not named[name].paused}
        assert decision.done == {name for name in bound - running if named[name].paused}
        return
    assert resumed <= leases.held
    assert not any(named[name].active for name in paused)
    assert all(named[name].paused and not named[name].active for name in decision.done)
    assert decision.done <= bound - resumed
    assert not set(decision.asks) & bound
    assert all(
        queue.active or queue.name in leases.held or queue.name in paused
        for queue in queues
        if not queue.paused and queue.name not in UNMANAGED
    )
    assert asks == sorted((queue.name for queue in without), key=rules.rank)[: len(asks)]
    line = [name for name in decision.asks if named[name].paused or not named[name].active]
    before = max((number for number, name in enumerate(line, 1) if name in leases.asked), default=0)
    assert before == len(line) or len(line) - before <= rules.limit - len(running | resumed)


def test_a_queue_that_waits_for_room_leaves_its_place_to_the_next() -> None:
    queues = [
        QueueSeen(name="smartSearch", paused=True, held=5),
        QueueSeen(name="videoConversion", paused=True, held=5),
        QueueSeen(name="ocr", paused=True, held=5),
    ]
    memory = Memory(holds=dict.fromkeys([queue.name for queue in queues], Hold.OURS))
    first = decide(queues, memory, Rules(), Leases())
    then = decide(queues, memory, Rules(), Leases(asked=frozenset(first.asks)))
    granted = decide(
        queues, memory, Rules(), Leases(asked=frozenset({"smartSearch"}), held=frozenset({"videoConversion"}))
    )

    assert first.asks == ("smartSearch",)
    assert then.asks == ("smartSearch", "videoConversion")
    assert granted.asks == ("smartSearch",)
    assert granted.actions == (Action(command=Command.RESUME, queue="videoConversion"),)


def test_a_drained_queue_gives_its_lease_back_although_nobody_else_wants_the_place() -> None:
    drained = QueueSeen(name="smartSearch", paused=False)
    memory, leases = Memory(quiet={"smartSearch": 1}), Leases(held=frozenset({"smartSearch"}))
    first = decide([drained], memory, Rules(), leases)
    then = decide([QueueSeen(name="smartSearch", paused=True)], first.memory, Rules(), leases)

    assert first.actions == (Action(command=Command.PAUSE, queue="smartSearch"),)
    assert first.done == frozenset()
    assert then.done == {"smartSearch"}
