"""The settings that both kinds of worker share."""

import os
import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field

from callsheet.params import Distribute
from callsheet.service.settings import SchedulerClientSettings
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.storage.scratch import Scratch


class WorkerSettings(SchedulerClientSettings):
    """Who the worker is and how much it takes on."""

    host: str = Field(default_factory=socket.gethostname, pattern="^[A-Za-z0-9._-]{1,128}$")
    """The host that limits are counted for; by default the machine's name. Letters, digits, . _ and -."""
    slots: int = Field(default_factory=lambda: min(5, os.cpu_count() or 1), ge=1, le=10_000)
    """Jobs at once; by default the cores, at most 5."""
    scratch: Path = Path("var/scratch")
    """A folder for copies of originals that lie in buckets, and for what is made before it is uploaded to
    one; on a disk that has room for the largest of them."""
    copies_mib: int = Field(default=8192, ge=0)
    """Room in MiB on that disk for copies of originals that are kept for the next job which wants the same,
    those that nobody wanted the longest out first; 0 for none. Before one is used the bucket is asked whether
    it is what lies there. They make way for what needs the room."""
    transfers: int = Field(default=4, ge=1, le=64)
    """Copies from and to buckets at once."""
    children: int = Field(default_factory=lambda: max(1, os.cpu_count() or 1), ge=0, le=1000)
    """Sandboxed decode processes; by default one per core."""
    urgent_children: int = Field(default=1, ge=1, le=1000)
    """Decode processes more, for jobs whose results somebody waits for. They alone are not nice: the others
    have the lowest priority of CPU and get the disk while it is idle, and so has FFmpeg in jobs that are not
    interactive."""
    child_jobs_max: int = Field(default=500, ge=1)
    """Files that one decode process reads; then another takes its place."""
    jobs_max: int = Field(default=0, ge=0)
    """Attempts after which the worker drains itself and ends with exit code 0, to be started afresh by what
    keeps it running. 0 for any number."""
    spool: Path = Path("var/spool")
    """The folder that keeps results which the scheduler has not acknowledged, and the worker's identity."""
    drain_grace_s: float = Field(default=30.0, ge=0.0)
    """Seconds that running jobs have to end when the worker is told to stop; then they are handed back."""
    library_deadline_s: float = Field(default=30.0, gt=0.0, le=600.0)
    """Seconds that the scheduler may take to answer one call about the library; then it is repeated."""
    stop_ask_grace_s: float = Field(default=1.0, ge=0.0, le=600.0)
    """Seconds that an attempt which is to end may let a child process finish what it does; then SIGTERM."""
    stop_term_grace_s: float = Field(default=5.0, ge=0.0, le=600.0)
    """Seconds that a child process may take to end after SIGTERM; then SIGKILL."""
    failures_in_row_max: int = Field(default=20, ge=0)
    """Attempts in a row that may fail, other than by bad input; then the worker drains itself and ends with
    exit code 1, to be started afresh. 0 for any number."""
    sweep_interval_s: float = Field(default=6 * 3600.0, ge=1.0)
    """Seconds between two searches of the writable roots for files that killed workers left."""
    stall_limit_s: float = Field(default=120.0, ge=1.0, le=3600.0)
    """Seconds that FFmpeg's output time, bytes and CPU time may all stand still; then it is ended."""
    chunk_s: float = Field(default=60.0, ge=2.0, le=3600.0)
    """Seconds of video between two checkpoints of a re-encode; a pause waits for the next of them."""
    distribute: Distribute = "auto"
    """Whether a long re-encode that does not say so itself is cut into jobs of their own, which other workers
    help with: auto where another worker is free, always, or never."""
    output_limit_mib: int = Field(default=65_536, ge=1)
    """The largest file in MiB that a job may make."""
    free_disk_floor_mib: int = Field(default=1024, ge=0)
    """Free space in MiB that jobs leave on the disk of the root they write to."""
    run_limits_s: dict[str, Annotated[int, Field(ge=1, le=604_800)]] = Field(default_factory=dict)
    """How long one attempt may run, by job type, where it is not what the type says: a JSON object,
    {"reencode_streaming": 86400}."""

    model_dir: Path = Path("var/models")
    """The folder with the models, one in a folder of its own; nothing is fetched into it but by
    `callsheet models pull`."""
    inference_memory_mib: int = Field(default=4096, ge=256)
    """Memory in MiB that a process which runs a model without a card may map; on a card it fills no more than
    the job was given."""
    inference_threads: int = Field(default_factory=lambda: min(8, os.cpu_count() or 1), ge=1, le=256)
    """Threads that compute in such a process; by default the cores, at most 8."""
    inference_idle_s: float = Field(default=60.0, ge=0.1, le=3600.0)
    """Seconds that such a process may have nothing to do within a job; then it ends, and begins again when it
    is needed."""

    def encoding(self) -> EncodingLimits:
        """Return the limits of what jobs make."""
        return EncodingLimits(
            stall_s=self.stall_limit_s,
            chunk_s=self.chunk_s,
            output_mib=self.output_limit_mib,
            free_floor_mib=self.free_disk_floor_mib,
            distribute=self.distribute,
        )

    def inference(self) -> InferenceLimits:
        """Return where models lie, and what running one may take."""
        return InferenceLimits(
            folder=self.model_dir,
            memory_mib=self.inference_memory_mib,
            threads=self.inference_threads,
            idle_s=self.inference_idle_s,
        )

    def scratch_room(self) -> Scratch:
        """Return where copies of what lies in buckets are kept while they are used."""
        return Scratch(
            self.scratch,
            floor_mib=self.free_disk_floor_mib,
            transfers=self.transfers,
            copies_mib=self.copies_mib,
        )
