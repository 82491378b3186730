"""How an attempt ended that did not complete."""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final

from callsheet_scheduler.domain.library import LibraryChanges


class Ending(Enum):
    """How an attempt ended, other than completed."""

    BAD_INPUT = auto()
    CAPACITY = auto()
    OUT_OF_VRAM = auto()
    """The memory of the GPU that it was given did not suffice."""
    TRANSIENT = auto()
    CANCELLED = auto()
    PAUSED = auto()
    """Stopped on request, with a checkpoint to go on from."""
    LOST = auto()
    """The worker is gone, and the lease with it."""
    RETURNED = auto()
    """The worker gave the lease back without having failed."""
    YIELDED = auto()
    """It goes on when jobs that it submits are final."""


class Rung(IntEnum):
    """What it took to end an attempt on request; the values are those on the wire."""

    NONE = 0
    BEFORE_START = 1
    ASKED = 2
    TERMINATED = 3
    KILLED = 4
    LEASE_LOST = 5


#: The word that an attempt's row keeps.
OUTCOME_WORDS: Final = {
    Ending.LOST: "expired",
    Ending.RETURNED: "returned",
    Ending.PAUSED: "paused",
    Ending.YIELDED: "yielded",
}

#: What ended an attempt whose worker did not say.
LOST_RUNG: Final = {Ending.LOST: Rung.LEASE_LOST, Ending.RETURNED: Rung.BEFORE_START}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known of the end."""

    ending: Ending
    reason: str = ""
    library: LibraryChanges | None = None
    """To be written all the same: which file is broken, and why."""
    rung: Rung = Rung.NONE
    checkpoint: str | None = None
    """What the next attempt goes on from, as JSON; None leaves what is there."""
    exit_known: bool = True
    """Whether it is known that the processes of the attempt have ended."""
    peak_vram_mib: int = 0
    """The most GPU memory that they held, as measured; 0 if it was not."""
