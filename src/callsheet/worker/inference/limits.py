"""The limits of inference in one worker, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MIB: Final = 1 << 20

ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1", "MALLOC_ARENA_MAX": "2"}
"""What an inference process is told besides: ONNX Runtime's wheels would report to their maker, in a thread
that begins with the import; and address space is not to be spread over many heaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceLimits:
    """Of one worker; its settings say them."""

    folder: Path | None = None
    """Where its models lie; None for none."""
    memory_mib: int = 4096
    """Memory that a process may map where it computes without a card."""
    threads: int = 1
    """Threads that compute in one process."""
    idle_s: float = 60.0
    """How long a process may have nothing to do; then it ends, and its memory returns."""
    deadline_s: float = 600.0
    """How long one call may take."""


def card_options(vram_mib: int) -> Mapping[str, str]:
    """Return what keeps a session of ONNX Runtime within its memory of a card, and growing by need alone."""
    return {
        "device_id": "0",
        "gpu_mem_limit": str(vram_mib * _MIB),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
    }
