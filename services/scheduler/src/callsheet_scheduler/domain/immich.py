"""Immich servers: how their controllers saw them last, and what was decided of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

SILENT_S: Final = 30.0
"""A controller reports every few seconds; one that has not for so long is silent."""
FORGOTTEN_S: Final = 24 * 3600.0
"""A server of which nothing is decided is forgotten when its controller has been silent for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the queues of a server are run."""

    paused: bool
    limit: int
    """Queues that run at once at most."""
    order: tuple[str, ...]
    """Most urgent first."""
    interval_s: float
    """Seconds between two looks; 0 where the controller does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What somebody decided of a server; None where the controller's settings hold."""

    paused_at: float | None = None
    paused_by: str = ""
    limit: int | None = None
    order: tuple[str, ...] | None = None
    interval_s: float | None = None

    def over(self, own: Rules) -> Rules:
        """Return how a server is to be run whose controller's settings are *own*."""
        return Rules(
            paused=self.paused_at is not None,
            limit=own.limit if self.limit is None else self.limit,
            order=own.order if self.order is None else self.order,
            interval_s=own.interval_s if self.interval_s is None else self.interval_s,
        )


UNDECIDED: Final = Decided()


class Hold(IntEnum):
    """Who keeps a queue as it is; the values are those on the wire."""

    OPEN = 1
    CONTROLLER = 2
    OTHERS = 3
    UNMANAGED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue of a server."""

    name: str
    hold: Hold
    paused: bool
    active: int
    waiting: int
    delayed: int
    failed: int
    leased: bool
    asks: bool
    stalled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a controller last said."""

    at: float
    controller: str
    """Who says it."""
    address: str
    version: str
    reached_at: float | None
    error: str
    own: Rules
    """Those of its settings."""
    in_force: Rules
    queues: tuple[Queue, ...]

    def silent(self, now: float) -> bool:
        """Return whether the controller should have said more by *now*."""
        return now - self.at > SILENT_S


def on_loopback(address: str) -> bool:
    """Return whether an address means something else on every host."""
    return re.match(r"[a-z]+://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?(/|$)", address) is not None


class Servers:
    """Every server that is known, by name."""

    def __init__(self) -> None:
        self._decided: dict[str, Decided] = {}
        self._reports: dict[str, Report] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names())

    @property
    def reports(self) -> Mapping[str, Report]:
        """What controllers last said, by the server's name."""
        return MappingProxyType(self._reports)

    def names(self, now: float) -> list[str]:
        """Return the servers by name, without those that have been silent too long."""
        for name, report in list(self._reports.items()):
            if now - report.at > FORGOTTEN_S:
                del self._reports[name]
        return sorted(self._names())

    def decided(self, name: str) -> Decided:
        """Return what is decided of a server."""
        return self._decided.get(name, UNDECIDED)

    def decide(self, name: str, decided: Decided) -> None:
        """Let a decision count."""
        self._decided[name] = decided
        if decided == UNDECIDED:
            del self._decided[name]

    def report(self, name: str, report: Report) -> None:
        """Take in what a controller says."""
        self._reports[name] = report

    def left(self, name: str, controller: str) -> None:
        """Forget what a controller said that ends; nobody ends for another."""
        known = self._reports.get(name)
        if known is not None and known.controller == controller:
            del self._reports[name]

    def rival(self, name: str, report: Report) -> tuple[str, Report] | None:
        """Return the report of another controller, by its name, that stands against this one.

        An address on loopback is another server on each host.
        """
        for other, known in self._reports.items():
            same = known.controller == report.controller and known.address == report.address
            met = other == name or (known.address == report.address and not on_loopback(known.address))
            if met and not same and not known.silent(report.at):
                return other, known
        return None

    def _names(self) -> set[str]:
        return self._decided.keys() | self._reports.keys()
