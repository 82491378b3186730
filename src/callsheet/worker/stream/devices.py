"""What a worker knows of its cards: which there are, and what was seen of them, when. Values alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

READING_LIMIT_S: Final = 10.0
"""A look at the cards that began longer ago is old: nothing in it is reported as new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One card, or one MIG instance of a card."""

    uuid: str
    index: int
    """The driver's number; of a MIG instance its card's."""
    name: str
    capacity_mib: int
    driver: str
    """The driver's version."""
    instance: int | None = None
    """The number of a MIG instance within its card; None for a whole card."""
    encoder_sessions_max: int | None = None
    """How many it can hold at once; None for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceShare:
    """What one attempt may use of a card."""

    uuid: str
    vram_mib: int
    """Memory that it may fill."""
    encoder_sessions: int
    """Encoder sessions that it may open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory of a card."""

    pid: int
    used_mib: int | None
    """None where the driver does not say."""
    lineage: frozenset[int]
    """Its own id, its session's and those of all processes above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one look saw of a card; None is what the driver does not tell."""

    used_mib: int
    """By whomever, with what the driver keeps for itself."""
    processes: Sequence[GpuProcess] | None = None
    """None also where the driver's process ids are not those of this machine, as in most containers."""
    encoder_pids: Sequence[int] | None = None
    """One for each encoder session."""
    utilisation_percent: int | None = None
    temperature_c: int | None = None

    def used_below(self, ancestors: frozenset[int]) -> int | None:
        """Return the MiB held by *ancestors* and what stands below them; None where that is unknown."""
        if self.processes is None:
            return None
        total_mib = 0
        for process in self.processes:
            if process.lineage & ancestors:
                if process.used_mib is None:
                    return None
                total_mib += process.used_mib
        return total_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDevice:
    """One card in one look."""

    device: Device
    reading: Reading | None = None
    """None where the driver could not read it."""
    gone: bool = False
    """The card has left, or does nothing until it is reset."""
    problem: str = ""
    """Why there is no reading, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at all cards."""

    at: float
    """When it began, in monotonic seconds."""
    devices: Sequence[SeenDevice] = ()
    """Each card that was seen since the worker started, so that one that went is told of."""
    problem: str = ""
    """Why no card can be used, in one sentence with the remedy; empty where there is none to say."""
    worker_pid: int = 0
    """The worker that looked; what stands below it is its own."""

    def fresh(self, now: float) -> bool:
        """Return whether it may be reported as new."""
        return now - self.at <= READING_LIMIT_S

    def of(self, uuid: str) -> SeenDevice | None:
        """Return what it saw of one card."""
        return next((seen for seen in self.devices if seen.device.uuid == uuid), None)
