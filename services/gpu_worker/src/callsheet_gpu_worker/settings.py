"""The GPU worker's settings."""

from callsheet.worker.settings import WorkerSettings


class GpuWorkerSettings(WorkerSettings):
    """What a GPU worker has beyond every worker."""

    software_gpu: bool = False
    """Take GPU jobs although there is no card, and do them in software."""
