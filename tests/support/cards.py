"""Cards that tests make up: a library that stands for NVIDIA's, and the file that drives it."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("fake_nvml.c")
SONAME: Final = "libnvidia-ml.so.1"
VARIABLE: Final = "FAKE_NVML"
ATLAS: Final = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
BOREAS: Final = "GPU-bbbbbbbb-0000-0000-0000-000000000002"

LOST: Final = 15
RESET_REQUIRED: Final = 16
NOT_SUPPORTED: Final = 3
DRIVER_NOT_LOADED: Final = 9
TIMEOUT: Final = 10
VERSION_MISMATCH: Final = 18
UNKNOWN: Final = 999


def compiled(folder: Path, *options: str) -> Path:
    """Compile the library into *folder*, by the machine's compiler or else the one from PyPI."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / SONAME
    caches = {name: str(folder / "zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    subprocess.run(
        [*_compiler(), "-shared", "-fPIC", "-O1", f"-Wl,-soname,{SONAME}", *options, "-o", target, SOURCE],
        check=True,
        env=os.environ | caches,
    )
    return target


def _compiler() -> list[str]:
    named = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if named:
        return [named]
    if importlib.util.find_spec("ziglang") is None:
        raise RuntimeError("no C compiler: install one, or ziglang by pip")
    return [sys.executable, "-m", "ziglang", "cc"]


def loaded(library: Path) -> None:
    """Load the library, so that whoever asks this process for NVIDIA's by name gets it."""
    ctypes.CDLL(str(library))


@dataclass(slots=True)
class Driver:
    """The file that says what the driver knows; each change counts from the next call on."""

    path: Path
    lines: list[str] = field(default_factory=list[str])

    def set(self, *lines: str) -> None:
        """Say these lines and no others."""
        self.lines = list(lines)
        part = self.path.with_suffix(".part")
        part.write_text("\n".join(["driver 580.65.06", *lines]) + "\n", encoding="utf-8")
        part.replace(self.path)

    def add(self, *lines: str) -> None:
        """Say these lines too."""
        self.set(*self.lines, *lines)

    def drop(self, *beginnings: str) -> None:
        """Say no more what begins with any of these."""
        self.set(*(line for line in self.lines if not line.startswith(beginnings)))


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        """Return the instant."""
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        """Return the seconds that the test has let pass."""
        return self.at

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


def card(uuid: str = ATLAS, *, index: int = 0, mib: int = 16_384, used_mib: int = 400) -> str:
    """Return the line of a card."""
    return f"device {uuid} {index} {mib} {used_mib} Tesla {mib // 1024} GB"
