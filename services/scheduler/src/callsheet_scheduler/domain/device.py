"""A GPU as workers tell of it, and what a job needs of one."""

from dataclasses import dataclass
from typing import Final, NamedTuple, NewType

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import JobId, LiveJob, Token, WorkerId

DeviceId = NewType("DeviceId", str)
"""The UUID that the driver gives a GPU."""

#: Where a GPU job runs that a worker without a card does.
SOFTWARE: Final = DeviceId("software")

LeaseKey = tuple[JobId, Token]

#: Encoder sessions that a job of each GPU category opens.
ENCODER_SESSIONS: Final = {Category.GPU_ENCODE: 1, Category.GPU_AI: 0}


class Need(NamedTuple):
    """A share of a GPU."""

    vram_mib: int
    encoder_sessions: int


def need_of(category: Category, vram_mib: int) -> Need | None:
    """Return what a job of *category* needs of a GPU; None where it needs none."""
    sessions = ENCODER_SESSIONS.get(category)
    return None if sessions is None else Need(vram_mib, sessions)


def held_by(job: LiveJob) -> Need | None:
    """Return what the lease of *job* holds of a GPU; None where it holds nothing."""
    return None if job.device in {None, SOFTWARE} else need_of(job.category, job.vram_mib)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU as a worker's hello names it."""

    id: DeviceId
    index: int
    """Its number on the host."""
    name: str
    memory_mib: int
    encoder_sessions_max: int | None = None
    """None for no limit."""
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One worker's look at a GPU."""

    used_mib: int = 0
    """By whomever."""
    ours_mib: int | None = 0
    """By the worker's own children; None where that is unknown: then what they were given is taken."""
    encoder_sessions: int = 0
    """Of whomever."""
    utilization_percent: int = 0
    temperature_c: int = 0
    memory_mib: int = 0
    """Its whole memory; 0 for that of the hello."""
    gone: bool = False
    problem: str = ""
    held: frozenset[LeaseKey] = frozenset()
    """The worker's leases whose processes may still hold memory of it."""

    @property
    def fine(self) -> bool:
        """Whether the figures mean anything and the worker can use the GPU."""
        return not self.gone and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the tables hold an account to."""

    capacity_mib: int
    margin_mib: int
    encoder_sessions_max: int | None

    @property
    def usable_mib(self) -> int:
        """How much may be charged."""
        return max(0, self.capacity_mib - self.margin_mib)

    def allow(self, allocated: Need) -> bool:
        """Return whether so much may be charged."""
        sessions_max = self.encoder_sessions_max
        return allocated.vram_mib <= self.usable_mib and (
            sessions_max is None or allocated.encoder_sessions <= sessions_max
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one lease is charged with."""

    lease: LeaseKey
    device: DeviceId
    worker_id: WorkerId
    need: Need
    at: float
    """Seconds since 1970."""
    lingers_since: float | None = None
    """When the lease ended without proof that its processes did; None while it lives."""
    began: bool = False
    """Of one that lingers: its processes are known to have begun, so they can be seen to be gone."""
    named_at: float = 0.0
    """Of one that lingers: when its worker last said that its processes may still run; 0 for never."""

    @property
    def silent_since(self) -> float | None:
        """Since when nothing is heard of the processes of one that lingers."""
        return None if self.lingers_since is None else max(self.lingers_since, self.named_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAccount:
    """An account as its row says."""

    card: Card
    host: str
    bounds: Bounds
