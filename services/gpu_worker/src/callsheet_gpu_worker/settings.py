"""The GPU worker's settings."""

from pydantic import Field

from callsheet.worker.settings import WorkerSettings


class GpuWorkerSettings(WorkerSettings):
    """What a GPU worker has beyond every worker."""

    software_gpu: bool = False
    """Take GPU jobs where there is no card, and do them in software."""
    gpu_devices: str | None = None
    """The cards it may use, by index or UUID, separated by commas: 0,GPU-5b1c; a MIG instance as 0:1; or
    the word none. Without it those of CUDA_VISIBLE_DEVICES, or all."""
    gpu_encoder_sessions: int | None = Field(default=None, ge=0, le=1000)
    """Encoder sessions that each card can hold at once: 0 where cards cannot encode, as A100 and H100; on
    GeForce the driver's limit. Without it there is no limit."""
    gpu_patience_s: float = Field(default=10.0, gt=0.0, le=600.0)
    """Seconds that the driver may take over its first answer; then the worker starts without cards, and tells
    of them once they are known."""
    gpu_sees_pids: bool | None = None
    """Whether the process ids that the driver reports are those of the worker's machine. By default outside
    containers only; where they are not, nobody knows how much of a card is used by its own jobs."""
