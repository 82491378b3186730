"""The CPU worker's settings."""

from callsheet.worker.settings import WorkerSettings


class CpuWorkerSettings(WorkerSettings):
    """Nothing beyond what every worker has."""
