"""Measures cache building beside a plain script, vipsthumbnail and ffmpegthumbnailer, on one library.

All in one run, the rounds taking turns, since the machine may have other things to do: what counts are the
ratios. Callsheet's figure is that of a running worker's processors over real decode children, without the
scheduler; what it takes to start the children is printed beside it. Each file is probed, and gets a thumbnail
and a thumbhash. The tools make a thumbnail and nothing else.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from callsheet_cpu_worker.processors.cache_build import CacheBuild
from callsheet_cpu_worker.processors.scan import Scan

from bench.cache.library import make_library
from bench.cache.plain import PICTURES
from callsheet.params import CacheBuildParams, DerivativeKind, ScanParams
from callsheet.service.clock import SystemClock
from callsheet.worker.processor import Outcome
from tests.support.attempts import Desk, desk

CORES: Final = 2
CHUNK: Final = 200
WORKER_MIB: Final = 200
"""What a worker process may need."""

Run = Callable[[Path, Path], float]


def main() -> None:
    """Print files a second, ratios, and the memory of the worker's processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        library = Path(scratch, "library")
        make_library(library, asked.files)
        memory: list[int] = []
        starts: list[float] = []
        runs: dict[str, tuple[Run, int]] = {
            "callsheet": (lambda media, out: callsheet(media, out, memory, starts), asked.files),
            "plain script": (plain, asked.files),
        }
        pictures = sum(path.suffix in PICTURES for path in library.iterdir())
        stills = Path(scratch, "stills")
        _link(library, stills, pictures=True)
        runs["callsheet, pictures"] = (lambda _, out: callsheet(stills, out, memory, starts), pictures)
        if shutil.which("vipsthumbnail"):
            runs["vipsthumbnail, pictures"] = (lambda _, out: vips(stills, out), pictures)
        else:
            print("vipsthumbnail is left out: it is not installed (Debian: libvips-tools)")
        films = Path(scratch, "films")
        _link(library, films, pictures=False)
        runs["callsheet, videos"] = (
            lambda _, out: callsheet(films, out, memory, starts),
            asked.files - pictures,
        )
        if shutil.which("ffmpegthumbnailer"):
            runs["ffmpegthumbnailer, videos"] = (
                lambda _, out: thumbnailer(films, out),
                asked.files - pictures,
            )
        else:
            print("ffmpegthumbnailer is left out: it is not installed (Debian: ffmpegthumbnailer)")
        took: dict[str, list[float]] = {name: [] for name in runs}
        for round_number in range(asked.rounds):
            for name, (run, _) in runs.items():
                out = Path(scratch, f"{name.replace(', ', '-').replace(' ', '-')}-{round_number}")
                took[name].append(run(library, out))
                shutil.rmtree(out, ignore_errors=True)
        report(runs, took, memory)
        print(f"its children were ready within {statistics.median(starts):.2f} s")


def report(runs: dict[str, tuple[Run, int]], took: dict[str, list[float]], memory: Sequence[int]) -> None:
    """Print medians, and how many times faster Callsheet is than the others in the same round."""
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"{name:28} {middle:7.2f} s {runs[name][1] / middle:7.1f} files/s")
    for ours, theirs in (
        ("callsheet", "plain script"),
        ("callsheet, pictures", "vipsthumbnail, pictures"),
        ("callsheet, videos", "ffmpegthumbnailer, videos"),
    ):
        if theirs in took:
            ratios = [slow / fast for fast, slow in zip(took[ours], took[theirs], strict=True)]
            print(f"{ours} is {statistics.median(ratios):.1f} times as fast as {theirs}")
    print(f"memory of a worker process at its peak: {max(memory)} MiB, at most {WORKER_MIB} wanted")


def callsheet(media: Path, out: Path, memory: list[int], starts: list[float]) -> float:
    """Return the seconds of a scan and the chunks of a build; notes the children's start and peak memory."""
    out.mkdir()
    return asyncio.run(_callsheet(media, out, memory, starts))


async def _callsheet(media: Path, out: Path, memory: list[int], starts: list[float]) -> float:
    clock = SystemClock()
    started = clock.monotonic()
    async with desk(out, media, size=CORES) as at:
        await at.children.started()
        start = clock.monotonic()
        starts.append(start - started)
        at.library.take(await Scan().process(ScanParams(pictures=False), at.context()))
        ids = list(at.library.rows)
        chunks = [ids[place : place + CHUNK] for place in range(0, len(ids), CHUNK)]
        outcomes = [await _chunk(at, chunk) for chunk in chunks]
        took_s = clock.monotonic() - start
        memory.extend(_children_peaks())
    made = [outcome.result["made"] for outcome in outcomes]
    assert sum(count for count in made if isinstance(count, int)) == len(ids), at.diary.text
    return took_s


async def _chunk(at: Desk, ids: Sequence[str]) -> Outcome:
    asked = {"itemIds": list(ids), "kinds": [DerivativeKind.THUMBNAIL.value]}
    outcome = await CacheBuild().process(CacheBuildParams.model_validate(asked), at.context())
    assert isinstance(outcome, Outcome)
    return outcome


def _children_peaks() -> list[int]:
    """Return the peak memory of each decode child in MiB, as the kernel counts it."""
    peaks: list[int] = []
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    for pid in children:
        if b"callsheet.worker.sandbox.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
            peaks.append(int(line.split()[1]) // 1024)
    return peaks


def plain(media: Path, out: Path) -> float:
    """Return the seconds that the plain script takes."""
    out.mkdir()
    return _timed([sys.executable, "-m", "bench.cache.plain", str(media), str(out / "cache.db")])


def vips(media: Path, out: Path) -> float:
    """Return the seconds that vipsthumbnail takes, as many of it at once as there are cores."""
    out.mkdir()
    files = sorted(str(path) for path in media.iterdir())
    share = [files[core::CORES] for core in range(CORES)]
    commands = [
        [
            "vipsthumbnail",
            "--size",
            "300x300",
            "--export-profile",
            "srgb",
            "-o",
            f"{out}/%s.jpg[Q=82,strip]",
            *one,
        ]
        for one in share
    ]
    return _together(commands)


def thumbnailer(media: Path, out: Path) -> float:
    """Return the seconds that ffmpegthumbnailer takes, a process for each video, one a core at a time."""
    out.mkdir()
    return _together(
        [
            ["ffmpegthumbnailer", "-i", str(path), "-o", str(out / f"{path.stem}.jpg"), "-s", "300"]
            for path in sorted(media.iterdir())
        ]
    )


def _together(commands: Sequence[Sequence[str]]) -> float:
    clock = SystemClock()
    start = clock.monotonic()
    with ThreadPoolExecutor(CORES) as cores:
        list(cores.map(_timed, commands))
    return clock.monotonic() - start


def _timed(command: Sequence[str]) -> float:
    clock = SystemClock()
    start = clock.monotonic()
    environment = os.environ | {"VIPS_CONCURRENCY": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return clock.monotonic() - start


def _link(library: Path, folder: Path, *, pictures: bool) -> None:
    folder.mkdir()
    for path in library.iterdir():
        if (path.suffix in PICTURES) == pictures:
            os.link(path, folder / path.name)


if __name__ == "__main__":
    main()
