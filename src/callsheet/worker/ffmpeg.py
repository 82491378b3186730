"""Runs FFmpeg as a confined child: no shell, its own group, its last words kept, watched for standstill."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import imageio_ffmpeg

from callsheet.errors import AttemptError, CapacityError, OutOfVramError, TransientError
from callsheet.within import within
from callsheet.worker.sandbox.child_process import end_group
from callsheet.worker.sandbox.launch import LaunchSettings
from callsheet.worker.sandbox.rights import Rights, SandboxLimits, environment
from callsheet.worker.sandbox.work import codec
from callsheet.worker.stopping import Ladder

LIMITS: Final = SandboxLimits(address_space_mib=16_384, file_size_mib=65_536, cpu_s=7200, open_files=256)
"""Limits of an FFmpeg child unless told otherwise."""
_STDERR_BYTES: Final = 16 * 1024
_NO_SESSION: Final = "OpenEncodeSessionEx failed"
_NO_ENCODER: Final = "unsupported device"
"""What NVENC says of a card that has no encoder at all, such as an A100 or H100."""
_NO_VRAM: Final = ("CUDA_ERROR_OUT_OF_MEMORY", "failed: out of memory (10)")
SYSTEM_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/fonts", "/etc/fonts")
"""Where the machine's own libraries lie, and what they read."""

CARD_DEVICES: Final = "nvidia*"
"""The device files of NVIDIA's driver in /dev; each is opened to a program that uses a card."""
CARD_LIBRARIES: Final = ("/usr/local/nvidia", "/usr/local/cuda")
"""Where container images lay the driver's libraries beside the system's own folders."""
CARD_READABLE: Final = ("/proc/driver/nvidia", "/proc/self", "/sys/devices", "/etc/ld.so.cache")
_LOOKS: Final = 8
_VERSION_S: Final = 20.0
STALL_LIMIT_S: Final = 120.0
"""How long a program may stand still unless told otherwise; none may for ever."""

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
    background: bool = False
    """Whether it yields to everything else on the machine: lowest priority of CPU, disk only when idle."""
    stall_limit_s: float = STALL_LIMIT_S
    """How long its output time, its bytes and its CPU time may all stand still."""


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


async def ffmpeg_version(program: Path) -> str:
    """Return the first line of what the program says of itself; empty where it says nothing."""
    process = await asyncio.create_subprocess_exec(
        str(program), "-version", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment(""), cwd="/",
        start_new_session=True,
    )  # fmt: skip
    try:
        async with within(_VERSION_S):
            said, _ = await process.communicate()
    finally:
        await end_group(process)
    return said.decode("utf-8", "replace").partition("\n")[0].partition(" Copyright")[0][:200]


async def run_ffmpeg(
    program: Path,
    arguments: Sequence[str],
    *,
    deadline_s: float | None,
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
        deadline_s: Seconds it may take; None where only the attempt's own run limit ends it.
        pass_fds: Descriptors that it inherits under the same numbers.
        writable: Files and folders it may change; nothing else.
        limits: What it may use.
        on_progress: Called with each block of progress.
        terms: What it sees, and how it is ended.

    Raises:
        TransientError: It took longer, stood still, or could not be started.
    """
    rules = terms or Terms()
    settings = _settings(program, writable, limits, rules)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "callsheet.worker.sandbox.launch", str(os.getpid()),
        codec(LaunchSettings).dump_json(settings).decode(),
        str(program), "-hide_banner", "-nostdin", "-progress", "pipe:1", *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, pass_fds=tuple(pass_fds),
        env=environment(rules.device_uuid), cwd="/", start_new_session=True,
    )  # fmt: skip
    rules.started(process.pid)
    signs = _Signs(process.pid, on_progress)
    watching = asyncio.create_task(signs.watch(rules.stall_limit_s, process))
    try:
        async with within(deadline_s):
            said_end, stderr = await asyncio.gather(_follow(process, signs.take), _last_words(process))
            await process.wait()
    except TimeoutError as error:
        raise TransientError(f"ffmpeg took longer than {deadline_s:g} s and was ended") from error
    finally:
        watching.cancel()
        code = await end_group(process, rules.ladder)
    if signs.stalled:
        raise TransientError(
            f"ffmpeg stood still for {rules.stall_limit_s:g} s (no output, no CPU time) and was ended"
        )
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
        if _NO_SESSION in line and _NO_ENCODER not in line:
            return CapacityError(f"the GPU gives no further encoder session: {line[:300]}")
        if any(words in line for words in _NO_VRAM):
            return OutOfVramError(f"the GPU has no memory left for this: {line[:300]}")
    return None


def _settings(program: Path, writable: Sequence[Path], limits: SandboxLimits, rules: Terms) -> LaunchSettings:
    """Return what stays open to the program; one that uses a card needs its devices and address space."""
    card = bool(rules.device_uuid)
    return LaunchSettings(
        limits=replace(limits, address_space_mib=0) if card else limits,
        rights=Rights(
            readable=CARD_READABLE if card else (),
            runnable=(str(program), *SYSTEM_FOLDERS, *(CARD_LIBRARIES if card else ())),
            writable=tuple(str(folder) for folder in writable),
            devices=tuple(sorted(str(one) for one in Path("/dev").glob(CARD_DEVICES))) if card else (),
            keep_user=bool(writable),
        ),
        background=rules.background,
    )


class _Signs:
    """What shows that a program goes on: its progress, and the CPU time it takes."""

    def __init__(self, pid: int, on_progress: OnProgress | None) -> None:
        self._pid = pid
        self._on_progress = on_progress
        self._said: tuple[str, ...] = ()
        self.stalled = False

    def take(self, block: Mapping[str, str]) -> None:
        """Hear a block of progress."""
        self._said = tuple(block.get(key, "") for key in ("out_time_us", "total_size", "frame"))
        if self._on_progress is not None:
            self._on_progress(block)

    async def watch(self, limit_s: float, process: Process) -> None:
        """End the program once nothing has changed at `_LOOKS` looks in *limit_s*."""
        still, before = 0, None
        while still < _LOOKS:
            await asyncio.sleep(limit_s / _LOOKS)
            now = (self._said, self._cpu())
            still = still + 1 if now == before else 0
            before = now
        self.stalled = True
        with suppress(ProcessLookupError):
            process.kill()

    def _cpu(self) -> tuple[str, ...]:
        """Return the CPU time that it took so far, in the kernel's ticks (proc(5): utime and stime)."""
        try:
            stat = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ()
        return tuple(stat.rpartition(")")[2].split()[11:13])


async def _follow(process: Process, on_progress: OnProgress) -> bool:
    """Read the progress stream to its end; True when it said that all was done."""
    block: dict[str, str] = {}
    last = ""
    while process.stdout is not None and (line := await process.stdout.readline()):
        key, _, value = line.decode("utf-8", "replace").strip().partition("=")
        block[key] = value
        if key == "progress":
            last = value
            on_progress(block)
            block = {}
    return last == "end"


async def _last_words(process: Process) -> str:
    kept = bytearray()
    while process.stderr is not None and (part := await process.stderr.read(4096)):
        kept += part
        del kept[:-_STDERR_BYTES]
    return kept.decode("utf-8", "replace")
