"""The policy decides as its description says, in single looks and over a whole backlog."""

import pytest
from callsheet_immich_agent.policy import (
    PRIORITIES,
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

from tests.support.immich_queues import NAMES, SimulatedImmich


def seen(name: str, *, active: int = 0, due: int = 0, delayed: int = 0, paused: bool = False) -> QueueSeen:
    waiting, held = (0, due) if paused else (due, 0)
    return QueueSeen(name=name, paused=paused, active=active, waiting=waiting, held=held, delayed=delayed)


def said(queues: list[QueueSeen], memory: Memory | None = None, rules: Rules | None = None) -> list[str]:
    """Return the actions in short, such as ``pause ocr``."""
    decision = decide(queues, memory or Memory(), rules or Rules())
    return [f"{action.command} {action.queue}" for action in decision.actions]


def drive(server: SimulatedImmich, rules: Rules, *, looks_max: int = 2000) -> tuple[Memory, list[Action]]:
    """Look every ten seconds until nothing is left to do; return what is remembered and was asked."""
    memory, asked = Memory(), list[Action]()
    for _ in range(looks_max):
        decision = decide(server.seen(), memory, rules)
        memory = decision.memory
        for action in decision.actions:
            server.apply(action)
            after = memory.resumed if action.command is Command.RESUME else memory.paused
            memory = after(action.queue)
        asked += decision.actions
        if not server.left(set(NAMES) - UNMANAGED):
            return memory, asked
        server.advance(10)
    raise AssertionError(f"{server.left()} jobs are left")


def test_of_idle_queues_the_most_urgent_with_work_stays_open_at_first_contact() -> None:
    queues = [seen("videoConversion", due=5), seen("sidecar", due=1), seen("library")]

    assert said(queues) == ["pause videoConversion", "pause library"]


def test_active_queues_are_left_running_however_many_they_are() -> None:
    queues = [seen(name, active=1, due=9) for name in PRIORITIES]

    assert said(queues) == []


def test_a_free_place_is_filled_while_others_run() -> None:
    queues = [
        seen("videoConversion", active=1, due=4),
        seen("smartSearch", due=3, paused=True),
        seen("faceDetection", due=8, paused=True),
    ]

    assert said(queues, rules=Rules(limit=2)) == ["resume smartSearch"]


def test_more_urgent_work_waits_for_the_queue_that_runs() -> None:
    queues = [seen("thumbnailGeneration", active=2, due=4), seen("metadataExtraction", due=7, paused=True)]

    assert said(queues) == []


def looks(due: int, rules: Rules, number: int) -> list[str]:
    """Look so often at a server where the workers of smartSearch start nothing; return what is asked."""
    memory, paused, asked = Memory(), {"ocr": True, "smartSearch": False}, list[str]()
    for _ in range(number):
        queues = [seen("smartSearch", due=9, paused=paused["smartSearch"])]
        queues.append(seen("ocr", due=due, active=0 if paused["ocr"] else 1, paused=paused["ocr"]))
        decision = decide(queues, memory, rules)
        memory = decision.memory
        for action in decision.actions:
            paused[action.queue] = action.command is Command.PAUSE
            after = memory.paused if paused[action.queue] else memory.resumed
            memory = after(action.queue)
            asked.append(f"{action.command} {action.queue}")
    return asked


def test_a_queue_whose_workers_start_nothing_lets_others_pass() -> None:
    rules = Rules(stall_looks=5)

    assert looks(3, rules, 4) == []
    assert looks(3, rules, 6) == ["pause smartSearch", "resume ocr"]


def test_a_queue_whose_workers_start_nothing_stays_open_while_nobody_wants_its_place() -> None:
    assert looks(0, Rules(stall_looks=5), 30) == []


def test_a_queue_whose_workers_start_nothing_gives_its_lease_back_and_asks_again_later() -> None:
    rules, held = Rules(stall_looks=5), Leases(held=frozenset({"smartSearch"}))
    memory, asks = Memory(), list[bool]()
    for look in range(12):
        leases = held if look < 5 else Leases()
        decision = decide([seen("smartSearch", due=9, paused=look >= 5)], memory, rules, leases)
        memory = decision.memory
        asks.append("smartSearch" in decision.asks)
        assert [action.command for action in decision.actions] == ([Command.PAUSE] if look == 4 else [])

    assert asks == [False] * 9 + [True] * 3


def test_a_queue_that_drains_between_looks_has_not_stalled() -> None:
    rules, memory = Rules(stall_looks=2), Memory()
    for due in range(40, 0, -1):
        memory = decide([seen("smartSearch", due=due), seen("ocr", due=1, paused=True)], memory, rules).memory
        assert memory.stalled == frozenset()


def test_of_a_paused_controller_nothing_is_asked() -> None:
    queues = [seen("sidecar", due=1, paused=True), seen("ocr", due=1), seen("library")]

    assert said(queues, rules=Rules(paused=True)) == []
    assert said(queues, rules=Rules(limit=0)) == ["pause library", "pause ocr"]


def test_unmanaged_queues_are_neither_touched_nor_counted() -> None:
    queues = [seen(name, active=1, paused=index % 2 == 0) for index, name in enumerate(sorted(UNMANAGED))]

    assert said([*queues, seen("sidecar", due=1, paused=True)]) == ["resume sidecar"]


def test_unknown_queues_come_last_by_name() -> None:
    queues = [seen(name, due=1, paused=True) for name in ("ocr", "captionWriting", "videoConversion")]

    assert said(queues, rules=Rules(limit=2)) == ["resume videoConversion", "resume captionWriting"]


def test_the_order_can_be_changed() -> None:
    queues = [seen(name, due=1, paused=True) for name in ("ocr", "sidecar")]

    assert said(queues, rules=Rules(order=("ocr", *PRIORITIES))) == ["resume ocr"]


def test_a_queue_that_drained_keeps_its_place_until_it_has_settled() -> None:
    rules, other = Rules(settle_looks=2), seen("faceDetection", due=9, paused=True)
    memory = decide([seen("smartSearch", active=1), other], Memory(), rules).memory
    first = decide([seen("smartSearch"), other], memory, rules)
    second = decide([seen("smartSearch"), other], first.memory, rules)

    assert first.actions == ()
    assert second.actions == (
        Action(command=Command.PAUSE, queue="smartSearch"),
        Action(command=Command.RESUME, queue="faceDetection"),
    )


def test_a_queue_that_refills_while_it_settles_goes_on() -> None:
    rules, other = Rules(settle_looks=3), seen("faceDetection", due=9, paused=True)
    memory = Memory()
    for due in (1, 0, 0, 1, 0, 0, 1):
        decision = decide([seen("smartSearch", due=due), other], memory, rules)
        memory = decision.memory
        assert decision.actions == ()


def test_a_drained_queue_stays_open_while_nobody_wants_its_place() -> None:
    memory = Memory()
    for _ in range(20):
        decision = decide([seen("smartSearch"), seen("faceDetection", paused=True)], memory, Rules())
        memory = decision.memory
        assert decision.actions == ()


def test_delayed_jobs_take_no_place_that_due_jobs_want() -> None:
    queues = [seen("sidecar", delayed=4, paused=True), seen("ocr", due=1, paused=True)]

    assert said(queues) == ["resume ocr"]
    assert said(queues[:1]) == ["resume sidecar"]


def test_what_is_found_paused_is_left_alone_where_nothing_is_adopted() -> None:
    queues = [seen("sidecar", due=3, paused=True), seen("ocr", due=1, active=1)]
    decision = decide(queues, Memory(), Rules(limit=5, adopt=False))

    assert decision.actions == ()
    assert decision.memory.holds == {"sidecar": Hold.THEIRS, "ocr": Hold.OPEN}
    assert restore(decision.memory, Rules()) == ()


def test_a_queue_that_somebody_pauses_is_theirs_until_they_open_it() -> None:
    rules = Rules()
    memory = decide([seen("sidecar", active=1, due=5)], Memory(), rules).memory
    paused = decide([seen("sidecar", due=5, paused=True)], memory, rules)
    opened = decide([seen("sidecar", due=5)], paused.memory, rules)

    assert paused.actions == ()
    assert restore(paused.memory, rules) == ()
    assert opened.memory.holds == {"sidecar": Hold.OPEN}


def test_a_pause_without_an_answer_stays_ours_even_if_it_comes_late() -> None:
    queues = [seen("sidecar", due=1), seen("ocr")]
    memory = decide(queues, Memory(), Rules()).memory.doubting("ocr")
    memory = decide([seen("sidecar", active=1), seen("ocr", active=1)], memory, Rules()).memory
    memory = decide([seen("sidecar", active=1), seen("ocr", paused=True)], memory, Rules()).memory

    assert memory.ours == {"ocr"}


def test_a_refused_pause_leaves_the_queue_nobodys() -> None:
    decision = decide([seen("sidecar", due=1), seen("ocr")], Memory(), Rules())

    assert decision.memory.ours == {"ocr"}
    assert decision.memory.refused("ocr").ours == frozenset()


@pytest.mark.parametrize("limit", [1, 2, 5, 30])
def test_a_mixed_backlog_drains_without_a_wrong_pause(limit: int) -> None:
    server = SimulatedImmich({"sidecar": 12, "videoConversion": 6, "smartSearch": 20, "ocr": 7})
    server.queues["faceDetection"].fails_every = 3
    server.queues["videoConversion"].paused = True
    memory, asked = drive(server, Rules(limit=limit))

    assert server.wrong_pauses == 0
    assert len(asked) < 6 * len(NAMES)
    for action in restore(memory, Rules()):
        server.apply(action)
    assert server.open() == set(NAMES)
