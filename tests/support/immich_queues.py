"""The queues of a simulated Immich server: they drain in virtual time, cause follow-on work, and fail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from callsheet_immich_agent.policy import Action, Command, QueueSeen

#: The queues of a present server, and one that only a fork has.
NAMES = (
    "thumbnailGeneration",
    "metadataExtraction",
    "videoConversion",
    "faceDetection",
    "facialRecognition",
    "smartSearch",
    "duplicateDetection",
    "backgroundTask",
    "storageTemplateMigration",
    "migration",
    "search",
    "sidecar",
    "library",
    "notifications",
    "backupDatabase",
    "ocr",
    "workflow",
    "integrityCheck",
    "editor",
    "captionWriting",
)

#: What a finished job of a queue causes in others.
FOLLOW_ON: Mapping[str, tuple[str, ...]] = {
    "sidecar": ("metadataExtraction",),
    "metadataExtraction": ("storageTemplateMigration",),
    "storageTemplateMigration": ("thumbnailGeneration",),
    "thumbnailGeneration": ("smartSearch", "faceDetection"),
    "smartSearch": ("duplicateDetection",),
    "faceDetection": ("facialRecognition",),
}


@dataclass(slots=True)
class SimulatedQueue:
    """One queue, as BullMQ keeps it: a pause lets active jobs end."""

    waiting: int = 0
    delayed: int = 0
    paused: bool = False
    service_s: float = 5.0
    workers: int = 2
    fails_every: int = 0
    """Each so-manieth job fails and causes nothing; 0 for none."""
    active: list[float] = field(default_factory=list[float])
    """Seconds that each active job still takes."""
    completed: int = 0
    failed: int = 0

    def fill(self) -> None:
        """Start what may start."""
        while not self.paused and self.waiting and len(self.active) < self.workers:
            self.waiting -= 1
            self.active.append(self.service_s)

    def work(self, seconds: float) -> int:
        """Let active jobs run on, and return how many completed."""
        left = [job - seconds for job in self.active]
        self.active = [job for job in left if job > 0]
        ended = len(left) - len(self.active)
        before = self.completed + self.failed
        failed = (before + ended) // self.fails_every - before // self.fails_every if self.fails_every else 0
        self.failed += failed
        self.completed += ended - failed
        return ended - failed


class SimulatedImmich:
    """All queues of a server. Nothing moves but by `advance`."""

    def __init__(
        self,
        backlog: Mapping[str, int] | None = None,
        *,
        names: Iterable[str] = NAMES,
        follow_on: Mapping[str, tuple[str, ...]] = FOLLOW_ON,
    ) -> None:
        """Begin with *backlog*, all queues open and nothing started."""
        self.queues = {name: SimulatedQueue(waiting=(backlog or {}).get(name, 0)) for name in names}
        self.wrong_pauses = 0
        """How often a queue with active jobs was paused."""
        self._follow_on = follow_on

    def start(self) -> None:
        """Let the workers take what they may."""
        for queue in self.queues.values():
            queue.fill()

    def advance(self, seconds: float, *, tick_s: float = 1.0) -> None:
        """Let time pass."""
        while seconds > 0:
            step = min(tick_s, seconds)
            seconds -= step
            self.start()
            for name, queue in self.queues.items():
                for _ in range(queue.work(step)):
                    for following in self._follow_on.get(name, ()):
                        if following in self.queues:
                            self.queues[following].waiting += 1
        self.start()

    def pause(self, name: str) -> None:
        """Pause a queue."""
        queue = self.queues[name]
        self.wrong_pauses += bool(queue.active) and not queue.paused
        queue.paused = True

    def resume(self, name: str) -> None:
        """Open a queue, whose workers begin at once."""
        self.queues[name].paused = False
        self.queues[name].fill()

    def apply(self, action: Action) -> None:
        """Do what a controller asks."""
        (self.pause if action.command is Command.PAUSE else self.resume)(action.queue)

    def seen(self) -> list[QueueSeen]:
        """Return the queues as a controller sees them."""
        return [
            QueueSeen(
                name=name,
                paused=queue.paused,
                active=len(queue.active),
                waiting=0 if queue.paused else queue.waiting,
                held=queue.waiting if queue.paused else 0,
                delayed=queue.delayed,
                failed=queue.failed,
            )
            for name, queue in self.queues.items()
        ]

    def open(self) -> set[str]:
        """Return the queues that are not paused."""
        return {name for name, queue in self.queues.items() if not queue.paused}

    def left(self, names: Iterable[str] | None = None) -> int:
        """Return how many jobs are not done, of all queues or of some."""
        chosen = [self.queues[name] for name in names] if names is not None else self.queues.values()
        return sum(queue.waiting + len(queue.active) for queue in chosen)
