"""What a round does, drawn from its seed alone: the same seed plans the same faults and the same load."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

WORKERS: Final = 2
SCHEDULERS: Final = 2
CLIENTS: Final = 3

LOAD_S: Final = 3.0
"""How long clients make calls."""
FAULTS_MAX: Final = 3
FIRST_S: Final = 0.2
LAST_S: Final = 2.6
"""When, after the load began, the last fault may begin."""

CLOCK_JUMPS_S: Final = (-3600, -30, 30, 3600)

WORKER_FAULTS: Final = ("kill_worker", "stop_worker", "end_worker")
SCHEDULER_FAULTS: Final = ("kill_leader", "stop_leader", "end_leader", "kill_standby", "kill_schedulers")
DATABASE_FAULTS: Final = (
    "kill_database",
    "crash_database",
    "restart_database",
    "freeze_database",
    "kill_backend",
    "end_backend",
)
NAMESPACE_FAULTS: Final = ("pull_cable",)
CLOCK_FAULTS: Final = ("move_clock",)
NETWORK_FAULTS: Final = (
    "cut",
    "refuse",
    "reset",
    "deafen",
    "mute",
    "lose_answers",
    "slow",
    *NAMESPACE_FAULTS,
)

GROUPS: Final = {
    WORKER_FAULTS: 3,
    SCHEDULER_FAULTS: 3,
    DATABASE_FAULTS: 3,
    NETWORK_FAULTS: 3,
    CLOCK_FAULTS: 1,
}
"""How often each group is drawn from, beside the others."""

KINDS: Final = frozenset(kind for group in GROUPS for kind in group)
"""Every kind of fault there is."""

#: Seconds that a fault may last: shorter and longer than a lease, and than a leadership.
LENGTHS_S: Final = (0.1, 0.3, 1.0, 2.5, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault."""

    kind: str
    at_s: float
    """After the load began."""
    for_s: float
    number: int
    """Chooses among those that the kind can strike."""
    jump_s: int = 0
    """How far a clock is moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One round."""

    seed: int
    faults: tuple[PlannedFault, ...]


def plan(seed: int, *, without: Sequence[str] = ()) -> Plan:
    """Return the plan of *seed*; kinds in *without* are left out."""
    chance = Random(f"plan {seed}")  # noqa: S311 -- chance that can be repeated
    allowed = {
        tuple(kind for kind in group if kind not in without): weight for group, weight in GROUPS.items()
    }
    groups = [group for group in allowed if group]
    weights = [allowed[group] for group in groups]
    faults = [
        PlannedFault(
            kind=chance.choice(chance.choices(groups, weights)[0]),
            at_s=round(chance.uniform(FIRST_S, LAST_S), 2),
            for_s=chance.choice(LENGTHS_S),
            number=chance.randrange(1000),
            jump_s=chance.choice(CLOCK_JUMPS_S),
        )
        for _ in range(chance.randint(1, FAULTS_MAX))
    ]
    return Plan(seed=seed, faults=tuple(sorted(faults, key=lambda fault: fault.at_s)))
