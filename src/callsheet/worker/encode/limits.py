"""The limits of what jobs make, as values."""

from dataclasses import dataclass

from callsheet.params import Distribute


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingLimits:
    """Of one worker; its settings say them."""

    stall_s: float = 120.0
    """How long a run may stand still."""
    chunk_s: float = 60.0
    """What lies between two checkpoints, in seconds of video."""
    output_mib: int = 65_536
    """The largest file."""
    free_floor_mib: int = 1024
    """What stays free on the disk of a root."""
    distribute: Distribute = "auto"
    """Whether a long encode is shared with other workers where its job does not say."""
