"""The CPU worker's settings."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from callsheet.service.settings import RootSettings
from callsheet.worker.settings import WorkerSettings


class CpuWorkerSettings(WorkerSettings):
    """What it watches, beyond what every worker has."""

    watch: list[str] = Field(default_factory=list)
    """The roots whose files are scanned as soon as they come, change or go: a JSON array, ["library"]. One
    worker that watches a root is enough."""
    watch_quiet_s: float = Field(default=2.0, ge=0.1, le=600.0)
    """Seconds that a file has to be left alone before it is scanned."""
    watch_poll_s: float = Field(default=0.0, ge=0.0, le=3600.0)
    """Seconds between two looks at everything, for file systems that tell of no changes, such as NFS; 0 to be
    told."""

    @model_validator(mode="after")
    def _watched_roots_are_folders(self) -> Self:
        unknown = sorted(set(self.watch) - self.roots.keys())
        if unknown:
            raise ValueError(f"CALLSHEET_WATCH names {unknown[0]!r}, which is none of CALLSHEET_ROOTS")
        buckets = [root for root in self.watch if not isinstance(self.roots[root], RootSettings)]
        if buckets:
            raise ValueError(f"CALLSHEET_WATCH names {buckets[0]!r}, a bucket; have it scanned by a schedule")
        return self

    def watched(self) -> dict[str, Path]:
        """Return the folders of the roots that are watched."""
        roots = {name: self.roots[name] for name in self.watch}
        return {name: root.path for name, root in roots.items() if isinstance(root, RootSettings)}
