"""Runs one command of an attempt: its progress and its last words in the log, its failure by its kind."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Final

from callsheet.errors import TransientError
from callsheet.media.ffmpeg_says import failure_of, pace_of
from callsheet.worker.context import JobContext
from callsheet.worker.encode.commands import Command
from callsheet.worker.ffmpeg import LIMITS

STDERR_LINES: Final = 20
"""Lines at the end of FFmpeg's stderr that the log keeps."""
LOG_STEP_PERCENT: Final = 5
_CPU_S: Final = 30 * 24 * 3600
_QUIET: Final = ("-loglevel", "warning", "-stats_period", "1")


@dataclass(slots=True, kw_only=True)
class Meter:
    """Turns what runs say into the job's progress; runs that follow one another share it."""

    context: JobContext
    total_s: float
    """Of output, over all runs; 0 to say nothing of them."""
    begin: int = 0
    """The percent that the beginning of the first run stands for."""
    until: int = 97
    """The percent that the end of the last run stands for; checks and publication come after."""
    done_s: float = 0.0
    """By runs that have ended."""
    _logged: int = field(default=0)

    def take(self, block: Mapping[str, str], run_s: float = inf) -> None:
        """Hear a block of progress of a run that makes *run_s*, however far ahead it says that it is."""
        if self.total_s <= 0:
            return
        pace = pace_of(block, self.total_s - self.done_s)
        part = min(1.0, (self.done_s + min(pace.done_s, run_s)) / self.total_s)
        percent = self._percent(part)
        self.context.report.progress(percent)
        if percent >= self._logged + LOG_STEP_PERCENT:
            self._logged = percent
            self.context.report.log(f"Progress: {percent}% ({pace.words})")

    def passed(self, seconds: float) -> None:
        """Count a run that has ended, or that an earlier attempt had done."""
        self.done_s += seconds
        if self.total_s > 0:
            self.context.report.progress(self._percent(min(1.0, self.done_s / self.total_s)))

    def _percent(self, part: float) -> int:
        return int(self.begin + part * (self.until - self.begin))


async def encode(context: JobContext, command: Command, meter: Meter, *, run_s: float = inf) -> None:
    """Run a command that makes *run_s* of output to its end; what it made is still to be checked.

    Raises:
        BadInputError: The input cannot be decoded, or the output would be too large.
        CapacityError: No room on the disk, in memory, or on the card.
        TransientError: It stood still, ended early, or failed otherwise.
    """
    context.report.log(f"FFmpeg command: {shlex.join(['ffmpeg', *command.arguments])}")
    for fd in command.inputs:
        os.lseek(fd, 0, os.SEEK_SET)
    limits = replace(LIMITS, file_size_mib=context.limits.output_mib, cpu_s=_CPU_S)
    run = await context.children.ffmpeg(
        [*_QUIET, *command.arguments],
        deadline_s=None,
        pass_fds=[*command.inputs, command.output],
        writable=[Path(f"/proc/self/fd/{command.output}")],
        limits=limits,
        on_progress=partial(meter.take, run_s=run_s),
        stall_limit_s=context.limits.stall_s,
    )
    for line in [line for line in run.stderr.splitlines() if line.strip()][-STDERR_LINES:]:
        context.report.log(f"ffmpeg: {line.strip()}")
    if run.exit_code:
        raise failure_of(run.exit_code, run.stderr)
    if not run.said_end:
        raise TransientError("ffmpeg ended without saying that it was done")
