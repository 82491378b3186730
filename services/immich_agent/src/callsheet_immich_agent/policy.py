"""Decides which queues of an Immich server run: from what is seen and remembered, pauses and resumes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

PRIORITIES: Final = (
    "sidecar",
    "metadataExtraction",
    "storageTemplateMigration",
    "thumbnailGeneration",
    "smartSearch",
    "duplicateDetection",
    "faceDetection",
    "facialRecognition",
    "videoConversion",
)
"""Most urgent first; what is not named here comes after, by name."""

UNMANAGED: Final = frozenset({"backgroundTask", "notifications", "backupDatabase", "integrityCheck"})
"""The queues by which a server looks after itself."""


GONE_MAX: Final = 200
"""So many queues that are ours and that the server has no more are kept in mind: it may have them again."""


class Hold(StrEnum):
    """Who keeps a queue as it is."""

    OPEN = "open"
    """Nobody: it runs, or would."""
    OURS = "ours"
    """Paused by us, or found paused and adopted: opened again when its turn comes, and at the end."""
    THEIRS = "theirs"
    """Paused by somebody else: left alone until it is seen open."""


class Command(StrEnum):
    """What can be asked of a queue."""

    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSeen:
    """One queue as the server tells of it."""

    name: str
    paused: bool
    active: int = 0
    """Jobs that run; a paused queue lets them end."""
    waiting: int = 0
    held: int = 0
    """Jobs that would wait if the queue were not paused."""
    delayed: int = 0
    failed: int = 0

    @property
    def due(self) -> int:
        """Jobs that could start at once."""
        return self.waiting + self.held

    @property
    def backlog(self) -> int:
        """Jobs that have not started."""
        return self.due + self.delayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator decided."""

    limit: int = 1
    """Queues that may run at once; 0 holds all back."""
    paused: bool = False
    """Nothing is asked of the server: what runs goes on, what is paused stays paused."""
    interval_s: float = 10.0
    """Seconds between two looks."""
    order: tuple[str, ...] = PRIORITIES
    unmanaged: frozenset[str] = UNMANAGED
    """Queues that are never touched."""
    settle_looks: int = 2
    """A queue that has drained keeps its place until that many looks in a row have found it so."""
    stall_looks: int = 60
    """So many looks in a row that find a queue open, with jobs, and none started, have it let others pass; it
    is tried again after as many."""
    adopt: bool = True
    """Whether a queue that is paused when it is first seen becomes ours."""

    def rank(self, name: str) -> tuple[int, str]:
        """Return the place of a queue in the order; the least is the most urgent."""
        return (self.order.index(name) if name in self.order else len(self.order), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known from earlier looks. Only ``holds`` has to outlive the process."""

    holds: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    quiet: Mapping[str, int] = field(default_factory=dict[str, int])
    """Looks in a row that found the queue without work that could run."""
    due: Mapping[str, int] = field(default_factory=dict[str, int])
    """Jobs that could start at the newest look."""
    idle: Mapping[str, int] = field(default_factory=dict[str, int])
    """Looks since the queue was open and started nothing."""
    stalled: frozenset[str] = frozenset()
    """Queues that let others pass, since their workers start nothing."""
    doubted: frozenset[str] = frozenset()
    """Queues of which nobody knows whether our last pause reached the server."""

    def resumed(self, name: str) -> "Memory":
        """The server has opened the queue for us."""
        return replace(
            self,
            holds={**self.holds, name: Hold.OPEN},
            quiet={**self.quiet, name: 0},
            doubted=self.doubted - {name},
        )

    def paused(self, name: str) -> "Memory":
        """The server has paused the queue for us."""
        return replace(self, doubted=self.doubted - {name})

    def refused(self, name: str) -> "Memory":
        """The server would not pause the queue."""
        return replace(self, holds={**self.holds, name: Hold.OPEN}, doubted=self.doubted - {name})

    def doubting(self, name: str) -> "Memory":
        """No answer came to the pause: it may have taken effect, or may yet."""
        return replace(self, doubted=self.doubted | {name})

    @property
    def ours(self) -> frozenset[str]:
        """The queues that have to be opened before we leave."""
        return frozenset(name for name, hold in self.holds.items() if hold is Hold.OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to ask of the server."""

    command: Command
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """What a scheduler says of the queues; each that shall run needs a lease of it."""

    held: frozenset[str] = frozenset()
    """Queues that may run."""
    recalled: frozenset[str] = frozenset()
    """Queues whose lease shall end: what is active goes on, and is covered until it has ended."""
    asked: frozenset[str] = frozenset()
    """Queues that have asked for a lease and wait."""

    @property
    def bound(self) -> frozenset[str]:
        """Queues that a lease covers."""
        return self.held | self.recalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to ask, in this order, and what to remember before the first of it is asked.

    A pause that does not succeed frees no place: the last resume that is still to come falls away for it.
    """

    actions: tuple[Action, ...]
    memory: Memory
    asks: tuple[str, ...] = ()
    """Queues that shall have asked for a lease, most urgent first, and no others."""
    done: frozenset[str] = frozenset()
    """Queues whose lease is to end: they are paused, and nothing of them is active."""


def decide(seen: Iterable[QueueSeen], memory: Memory, rules: Rules, leases: Leases | None = None) -> Decision:
    """Return what brings the server from what was *seen* to at most ``rules.limit`` running queues.

    A queue with active jobs is never paused, nor is one that has jobs to start and a place. Free places go
    to paused queues with jobs that could start, most urgent first; then to those with delayed jobs alone.
    A queue without work gives its place up only when another has use for it, and has settled; one whose
    workers start nothing comes after all others.

    Where *leases* are given a queue is resumed, or stays open once it is idle, only with a lease; and one
    that has drained gives its place up when it has settled, since others than queues may want the room.
    """
    queues = sorted(seen, key=lambda queue: rules.rank(queue.name))
    managed = [queue for queue in queues if queue.name not in rules.unmanaged]
    learned = _observe(managed, memory, rules)
    if rules.paused:
        return _left_alone(managed, learned, leases)
    steered = [queue for queue in managed if learned.holds[queue.name] is not Hold.THEIRS]
    running = {queue.name for queue in managed if queue.active}
    chosen = _choose(steered, running, learned, rules, leases)
    pauses = [queue.name for queue in steered if not queue.paused and queue.name not in chosen]
    wanted = [queue for queue in steered if queue.name in chosen and queue.paused and queue.backlog]
    resumes = (
        [queue for queue in wanted if leases is None or queue.name in leases.held]
        if len(chosen) <= rules.limit
        else []
    )
    # One that still runs takes no further place, so its resume is the last to fall away.
    resumes.sort(key=lambda queue: not queue.active)
    return Decision(
        actions=(
            *(Action(command=Command.PAUSE, queue=name) for name in pauses),
            *(Action(command=Command.RESUME, queue=queue.name) for queue in resumes),
        ),
        memory=replace(learned, holds={**learned.holds, **dict.fromkeys(pauses, Hold.OURS)}),
        asks=_asks(steered, chosen, learned, rules, leases) if leases else (),
        done=_done(queues, chosen, leases) if leases else frozenset(),
    )


def _left_alone(managed: Sequence[QueueSeen], learned: Memory, leases: Leases | None) -> Decision:
    """Return what is decided while nothing may be asked: leases cover what runs, and no more."""
    if leases is None:
        return Decision(actions=(), memory=learned)
    return Decision(
        actions=(),
        memory=learned,
        asks=tuple(queue.name for queue in _running_without(managed, leases)),
        done=_done(managed, set(), leases),
    )


def _running_without(queues: Iterable[QueueSeen], leases: Leases) -> list[QueueSeen]:
    """Return the queues that run, and are not paused, without a lease."""
    return [queue for queue in queues if queue.active and not queue.paused and queue.name not in leases.bound]


def observe(seen: Iterable[QueueSeen], memory: Memory, rules: Rules) -> Memory:
    """Return what is known after a look that nothing is done about."""
    return _observe([queue for queue in seen if queue.name not in rules.unmanaged], memory, rules)


def restore(memory: Memory, rules: Rules) -> tuple[Action, ...]:
    """Return what opens every queue that we keep paused, whatever the limit."""
    names = sorted(memory.ours, key=rules.rank)
    return tuple(Action(command=Command.RESUME, queue=name) for name in names)


def _observe(managed: Sequence[QueueSeen], memory: Memory, rules: Rules) -> Memory:
    holds = {queue.name: _hold(queue, memory, rules) for queue in managed}
    ours = [name for name, hold in memory.holds.items() if name not in holds and hold is Hold.OURS]
    gone = dict.fromkeys(ours[-GONE_MAX:], Hold.OURS)
    quiet = {
        queue.name: 0 if queue.active or queue.due else memory.quiet.get(queue.name, rules.settle_looks) + 1
        for queue in managed
    }
    idle = {queue.name: _idle(queue, memory, rules) for queue in managed}
    return Memory(
        holds={**gone, **holds},
        quiet=quiet,
        due={queue.name: queue.due for queue in managed},
        idle=idle,
        stalled=frozenset(name for name, looks in idle.items() if looks >= rules.stall_looks),
        doubted=memory.doubted - {queue.name for queue in managed if queue.paused},
    )


def _idle(queue: QueueSeen, memory: Memory, rules: Rules) -> int:
    """Return for how many looks nothing of an open queue has started; a stalled one begins anew in time."""
    looks = memory.idle.get(queue.name, 0)
    works = queue.active or not queue.due or queue.due < memory.due.get(queue.name, 0)
    if works or (queue.paused and looks < rules.stall_looks):
        return 0
    return (looks + 1) % (2 * rules.stall_looks)


def _hold(queue: QueueSeen, memory: Memory, rules: Rules) -> Hold:
    before = memory.holds.get(queue.name)
    if not queue.paused:
        return Hold.OURS if queue.name in memory.doubted else Hold.OPEN
    if before is None:
        return Hold.OURS if rules.adopt else Hold.THEIRS
    return Hold.THEIRS if before is Hold.OPEN else before


def _choose(
    steered: Sequence[QueueSeen], running: set[str], memory: Memory, rules: Rules, leases: Leases | None
) -> set[str]:
    """Return the queues that shall run: those that do, and as many more as there are places for."""
    chosen = set(running)
    allowed = [queue for queue in steered if leases is None or queue.name in leases.held]
    stalled = [queue for queue in allowed if queue.name in memory.stalled]
    opened = [queue for queue in allowed if not queue.paused and queue not in stalled]
    closed = [queue for queue in allowed if queue.paused and queue not in stalled]
    settled = {name for name, looks in memory.quiet.items() if looks >= rules.settle_looks}
    for group in (
        [queue for queue in opened if queue.due],
        [queue for queue in opened if queue.name not in settled],
        [queue for queue in closed if queue.due],
        [queue for queue in opened if queue.backlog],
        [queue for queue in closed if queue.backlog],
        sorted(stalled, key=lambda queue: queue.paused) if leases is None else (),
        opened if leases is None else (),
    ):
        for queue in group:
            if len(chosen) < rules.limit:
                chosen.add(queue.name)
    return chosen


def _asks(
    steered: Sequence[QueueSeen], chosen: set[str], memory: Memory, rules: Rules, leases: Leases
) -> tuple[str, ...]:
    """Return which queues shall have asked for a lease.

    What runs without one asks first. Of the others as many ask as there are places, besides those that wait
    for room already: they hold no place. So nothing asks before what is more urgent.
    """
    running = _running_without(steered, leases)
    bound = leases.bound | {queue.name for queue in running}
    idle = [queue for queue in steered if queue.name not in bound | memory.stalled]
    line = [
        *(queue.name for queue in idle if queue.due),
        *(queue.name for queue in idle if queue.backlog and not queue.due),
    ]
    places, last = rules.limit - len(chosen), 0
    for number, name in enumerate(line, 1):
        if name in leases.asked or places > 0:
            places -= name not in leases.asked
            last = number
    return (*(queue.name for queue in running), *line[:last])


def _done(queues: Sequence[QueueSeen], chosen: set[str], leases: Leases) -> frozenset[str]:
    busy = {queue.name for queue in queues if not queue.paused or queue.active}
    return leases.bound - busy - chosen
