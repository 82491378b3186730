"""Runs FFmpeg as a confined child: no shell, its own group, its end of stderr kept."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import imageio_ffmpeg

from callsheet.errors import AttemptError, CapacityError, OutOfVramError, TransientError
from callsheet.worker.launch import LaunchSettings
from callsheet.worker.processes import end_group
from callsheet.worker.sandbox import Rights, SandboxLimits, environment
from callsheet.worker.stopping import Ladder
from callsheet.worker.work import codec

LIMITS: Final = SandboxLimits(address_space_mib=16_384, file_size_mib=65_536, cpu_s=7200, open_files=256)
"""Limits of an FFmpeg child unless told otherwise."""
_STDERR_BYTES: Final = 16 * 1024
_NO_SESSION: Final = "OpenEncodeSessionEx failed"
_NO_VRAM: Final = ("CUDA_ERROR_OUT_OF_MEMORY", "failed: out of memory (10)")
_SYSTEM_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/fonts", "/etc/fonts")

OnProgress = Callable[[Mapping[str, str]], None]
"""Takes one block of what ``-progress`` writes, such as ``out_time_us`` and ``speed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FfmpegRun:
    """How a run ended. Exit code 0 is not success: check the output too."""

    exit_code: int
    said_end: bool
    """Whether the progress stream ended with ``progress=end``."""
    stderr: str
    """The end of what it wrote on stderr."""


def _nobody(_: int) -> None:
    """Hear that a run began, and forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a run is kept."""

    device_uuid: str = ""
    """The GPU that it may use; empty for none."""
    started: Callable[[int], None] = _nobody
    """Told its process id."""
    ladder: Ladder = field(default_factory=Ladder)
    """How it is ended."""


def ffmpeg_path(environment: Mapping[str, str]) -> Path:
    """Return the program that runs: ``CALLSHEET_FFMPEG`` if set, else the one that was installed by pip.

    Raises:
        TransientError: The named program is not there.
    """
    named = environment.get("CALLSHEET_FFMPEG", "")
    found = shutil.which(named) if named else imageio_ffmpeg.get_ffmpeg_exe()
    if found is None:
        raise TransientError(
            f"CALLSHEET_FFMPEG: there is no program {named!r}; name an ffmpeg that can be run"
        )
    return Path(found).resolve()


async def run_ffmpeg(
    program: Path,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    pass_fds: Sequence[int] = (),
    writable: Sequence[Path] = (),
    limits: SandboxLimits = LIMITS,
    on_progress: OnProgress | None = None,
    terms: Terms | None = None,
) -> FfmpegRun:
    """Run FFmpeg; inputs come by descriptor, outputs lie in *writable* folders or go to descriptors.

    A cancelled call ends the process group: SIGTERM, then SIGKILL.

    Args:
        program: As `ffmpeg_path` returns it.
        arguments: All arguments but the program's name; ``-progress pipe:1`` is put before them.
        deadline_s: Seconds it may take.
        pass_fds: Descriptors that it inherits under the same numbers.
        writable: Folders it may change; nothing else.
        limits: What it may use.
        on_progress: Called with each block of progress.
        terms: What it sees, and how it is ended.

    Raises:
        TransientError: It took longer, or could not be started.
    """
    rules = terms or Terms()
    settings = LaunchSettings(
        limits=limits,
        rights=Rights(
            runnable=(str(program), *_SYSTEM_FOLDERS),
            writable=tuple(str(folder) for folder in writable),
            keep_user=bool(writable),
        ),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "callsheet.worker.launch", str(os.getpid()),
        codec(LaunchSettings).dump_json(settings).decode(),
        str(program), "-hide_banner", "-nostdin", "-progress", "pipe:1", *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, pass_fds=tuple(pass_fds),
        env=environment(rules.device_uuid), cwd="/", start_new_session=True,
    )  # fmt: skip
    rules.started(process.pid)
    try:
        async with asyncio.timeout(deadline_s):
            said_end, stderr = await asyncio.gather(_follow(process, on_progress), _last_words(process))
            await process.wait()
    except TimeoutError as error:
        raise TransientError(f"ffmpeg took longer than {deadline_s:g} s and was ended") from error
    finally:
        code = await end_group(process, rules.ladder)
    return FfmpegRun(exit_code=code, said_end=said_end, stderr=stderr)


def gpu_shortage(stderr: str) -> AttemptError | None:
    """Return the failure where the end of FFmpeg's stderr says that the GPU has no room; else None.

    Such a line begins with the part that speaks, in brackets; what a file says of itself is indented.

    Source:
        libavcodec/nvenc.c and libavutil/cuda_check.h of FFmpeg: status 10 is NV_ENC_ERR_OUT_OF_MEMORY.
    """
    for line in stderr.splitlines():
        if not line.startswith("["):
            continue
        if _NO_SESSION in line:
            return CapacityError(f"the GPU gives no further encoder session: {line[:300]}")
        if any(words in line for words in _NO_VRAM):
            return OutOfVramError(f"the GPU has no memory left for this: {line[:300]}")
    return None


async def _follow(process: Process, on_progress: OnProgress | None) -> bool:
    """Read the progress stream to its end; True when it said that all was done."""
    block: dict[str, str] = {}
    last = ""
    while process.stdout is not None and (line := await process.stdout.readline()):
        key, _, value = line.decode("utf-8", "replace").strip().partition("=")
        block[key] = value
        if key == "progress":
            last = value
            if on_progress is not None:
                on_progress(block)
            block = {}
    return last == "end"


async def _last_words(process: Process) -> str:
    kept = bytearray()
    while process.stderr is not None and (part := await process.stderr.read(4096)):
        kept += part
        del kept[:-_STDERR_BYTES]
    return kept.decode("utf-8", "replace")
