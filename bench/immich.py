"""Drains the same simulated Immich servers by the immich-job-daemon's documented algorithm and by our policy.

Nothing is measured in real time: the same run gives the same figures everywhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from callsheet_immich_agent.policy import (
    PRIORITIES,
    UNMANAGED,
    Action,
    Command,
    Memory,
    QueueSeen,
    Rules,
    decide,
    restore,
)

from tests.support.immich_queues import SimulatedImmich

LIMIT: Final = 2
POLL_INTERVAL_S: Final = 10.0
CALL_S: Final = 0.1
"""How long each call takes, while the queues go on."""
HOURS_MAX: Final = 12

MIXED: Final = {
    "sidecar": 40,
    "metadataExtraction": 120,
    "thumbnailGeneration": 60,
    "smartSearch": 80,
    "ocr": 60,
    "videoConversion": 20,
}
SLOW_S: Final = {"videoConversion": 60.0, "smartSearch": 8.0}

Look = Callable[[list[QueueSeen]], tuple[Action, ...]]


class Daemon:
    """The immich-job-daemon as its document tells: while anything is active it lets everything go on."""

    def __call__(self, seen: list[QueueSeen]) -> tuple[Action, ...]:
        """Return what the daemon would ask."""
        managed = [queue for queue in seen if queue.name not in UNMANAGED]
        if any(queue.active for queue in managed):
            return ()
        rules = Rules(order=PRIORITIES)
        ranked = sorted(managed, key=lambda queue: rules.rank(queue.name))
        chosen = [queue for queue in ranked if queue.backlog][:LIMIT]
        return (
            *(Action(command=Command.RESUME, queue=queue.name) for queue in chosen),
            *(Action(command=Command.PAUSE, queue=queue.name) for queue in ranked if queue not in chosen),
        )


class Callsheet:
    """Our policy and its memory; every request succeeds."""

    def __init__(self) -> None:
        self.rules = Rules(limit=LIMIT)
        self.memory = Memory()

    def __call__(self, seen: list[QueueSeen]) -> tuple[Action, ...]:
        """Return what the controller would ask, and keep what it would remember."""
        decision = decide(seen, self.memory, self.rules)
        self.memory = decision.memory
        for action in decision.actions:
            pause = action.command is Command.PAUSE
            self.memory = (self.memory.paused if pause else self.memory.resumed)(action.queue)
        return decision.actions


@dataclass(slots=True)
class Figures:
    """What one run came to; seconds are virtual."""

    drained_s: float = 0.0
    wrong_pauses: int = 0
    idle_s: float = 0.0
    """Seconds in which a place was free while a queue had jobs to start, summed over the places."""
    crowded_s: float = 0.0
    """Seconds in which more queues than the limit ran."""
    left_paused: int = 0
    """Managed queues that are paused when the controller has been told to stop."""


def server(*, paused: bool) -> SimulatedImmich:
    """Return a server with the mixed backlog, all its managed queues paused or open."""
    immich = SimulatedImmich(MIXED)
    for name, queue in immich.queues.items():
        queue.service_s = SLOW_S.get(name, 3.0)
        queue.paused = paused and name not in UNMANAGED
    immich.start()
    return immich


def run(immich: SimulatedImmich, look: Look) -> Figures:
    """Let *look* steer the server until nothing is left to do."""
    figures = Figures()
    managed = set(immich.queues) - UNMANAGED

    def pass_time(seconds: float) -> None:
        end_s = figures.drained_s + seconds
        while figures.drained_s < end_s and immich.left(managed):
            step_s = min(0.1, end_s - figures.drained_s)
            running = sum(bool(immich.queues[name].active) for name in managed)
            startable = sum(
                not immich.queues[name].active and immich.queues[name].waiting > 0 for name in managed
            )
            figures.idle_s += step_s * min(max(0, LIMIT - running), startable)
            figures.crowded_s += step_s * (running > LIMIT)
            immich.advance(step_s, tick_s=0.1)
            figures.drained_s += step_s

    while immich.left(managed):
        if figures.drained_s > HOURS_MAX * 3600:
            raise RuntimeError("the queues do not drain")
        actions = look(immich.seen())
        pass_time(CALL_S)
        for action in actions:
            immich.apply(action)
            pass_time(CALL_S)
        pass_time(POLL_INTERVAL_S)
    for action in restore(look.memory, look.rules) if isinstance(look, Callsheet) else ():
        immich.apply(action)
    figures.wrong_pauses = immich.wrong_pauses
    figures.left_paused = len(managed - immich.open())
    return figures


def main() -> None:
    """Print a table for the guide."""
    print(
        "| server found | controller | drained | places idle | more than 2 ran | wrong pauses | left paused |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    makers: Mapping[str, Callable[[], Look]] = {"immich-job-daemon's": Daemon, "Callsheet": Callsheet}
    for found in ("paused", "open"):
        for name, make in makers.items():
            one = run(server(paused=found == "paused"), make())
            print(
                f"| {found} | {name} | {one.drained_s:,.0f} s | {one.idle_s:,.0f} s | {one.crowded_s:,.0f} s"
                f" | {one.wrong_pauses} | {one.left_paused} |"
            )


if __name__ == "__main__":
    main()
