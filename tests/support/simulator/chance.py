"""What chance decides, from one seed."""

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely each fault is; each run has only some of them, so that none hides the others."""

    commit_contended: float = 0.0
    commit_lost_before: float = 0.0
    commit_lost_after: float = 0.0
    commit_lost_late: float = 0.0
    """The answer is lost first, and the statement runs afterwards, unless its session was ended."""
    commit_stalled: float = 0.0
    content_refused: float = 0.0
    disk_full: float = 0.0
    stream_cut: float = 0.0
    stream_half_open: float = 0.0
    stream_slow: float = 0.0
    call_lost: float = 0.0
    answer_lost: float = 0.0
    call_repeated: float = 0.0
    worker_killed: float = 0.0
    worker_frozen: float = 0.0
    worker_restarted: float = 0.0
    scheduler_killed: float = 0.0
    scheduler_frozen: float = 0.0
    scheduler_deposed: float = 0.0
    strangers: float = 0.0
    card_vanishes: float = 0.0
    card_shrinks: float = 0.0


#: The likelihood of each fault where a run has it: per commit, message, call or second.
LIKELY = Faults(
    commit_contended=0.05,
    commit_lost_before=0.01,
    commit_lost_after=0.015,
    commit_lost_late=0.01,
    commit_stalled=0.01,
    content_refused=0.04,
    disk_full=0.004,
    stream_cut=0.015,
    stream_half_open=0.006,
    stream_slow=0.02,
    call_lost=0.04,
    answer_lost=0.06,
    call_repeated=0.06,
    worker_killed=0.012,
    worker_frozen=0.01,
    worker_restarted=0.006,
    scheduler_killed=0.008,
    scheduler_frozen=0.006,
    scheduler_deposed=0.006,
    strangers=0.03,
    card_vanishes=0.01,
    card_shrinks=0.01,
)


class Chance:
    """A run's dice."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 -- a run must be repeatable
        self.calm = False
        """No more faults: the system shall come to rest."""
        share = self.random.choice((0.0, 0.25, 0.5, 1.0))
        self.faults = Faults(
            **{
                one.name: getattr(LIKELY, one.name) if self.random.random() < share else 0.0
                for one in fields(Faults)
            }
        )

    def strikes(self, likelihood: float) -> bool:
        """Return whether a fault of this likelihood happens now."""
        return not self.calm and likelihood > 0.0 and self.random.random() < likelihood

    def delay_s(self, mean_s: float) -> float:
        """Return a delay, often short and at times long."""
        return min(self.random.expovariate(1.0 / mean_s), mean_s * 20)
