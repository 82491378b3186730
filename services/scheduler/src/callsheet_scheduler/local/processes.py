"""Which processes a Callsheet on one machine has."""

from typing import Final

#: Those that serve metrics, in the order of their ports.
METERED: Final = ("scheduler", "cpu-worker", "gpu-worker", "gateway")
