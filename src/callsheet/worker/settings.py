"""The settings that both kinds of worker share."""

import os
import socket
from pathlib import Path

from pydantic import Field

from callsheet.service.settings import SchedulerClientSettings


class WorkerSettings(SchedulerClientSettings):
    """Who the worker is and how much it takes on."""

    host: str = Field(default_factory=socket.gethostname, pattern="^[A-Za-z0-9._-]{1,128}$")
    """The host that limits are counted for; by default the machine's name. Letters, digits, . _ and -."""
    slots: int = Field(default_factory=lambda: min(5, os.cpu_count() or 1), ge=1, le=10_000)
    """Jobs at once; by default the cores, at most 5."""
    children: int = Field(default_factory=lambda: max(1, os.cpu_count() or 1), ge=0, le=1000)
    """Sandboxed decode processes; by default one per core."""
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
