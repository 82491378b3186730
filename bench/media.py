"""Measures single jobs beside the program that does the same by hand: a check, a thumbnail, a re-encode.

All in one run, the rounds taking turns, since the machine may have other things to do: what counts are the
ratios. Callsheet's figure is that of a worker's processor over its real children, without the scheduler.

A check opens a file by the same libraries as ffprobe, and most of it is the same work: FFmpeg decodes the
first frames of H.264 to know in which order they are shown. What a worker saves is to start a program and set
it up for every file. The bare start is measured too, since the ratio depends on it: the ffprobe
of a distribution loads many libraries; one that is linked into a single file is beaten by less.
"""

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from callsheet_cpu_worker.processors.thumbnail_generate import ThumbnailGenerate
from callsheet_cpu_worker.processors.validate import Validate
from callsheet_gpu_worker.processors.reencode_streaming import ReencodeStreaming
from callsheet_gpu_worker.streaming import whole_command

from callsheet.media.encoders import SOFTWARE
from callsheet.media.streaming import StreamingWish
from callsheet.params import ReencodeStreamingParams, ThumbnailGenerateParams, ValidateParams
from callsheet.service.clock import SystemClock
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.ffmpeg import ffmpeg_path
from callsheet.worker.processor import Outcome
from tests.support.attempts import Desk, desk, scanned

FFMPEG: Final = str(ffmpeg_path(os.environ))
H264: Final = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50")
VP8: Final = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "3M")
CHECKED: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("mp4", (*H264, "-c:a", "aac")),
    ("mkv", (*H264, "-c:a", "aac")),
    ("mov", (*H264, "-c:a", "aac")),
    ("webm", (*VP8, "-c:a", "libopus")),
)
INSTANT_S: Final = 33


@dataclass(slots=True)
class Pair:
    """What was measured of ours and of theirs, one of each a round."""

    unit: str
    ours: list[float] = field(default_factory=list[float])
    theirs: list[float] = field(default_factory=list[float])
    ours_cpu: list[float] = field(default_factory=list[float])
    theirs_cpu: list[float] = field(default_factory=list[float])

    def said(self, count: int) -> str:
        """Return the medians for one of *count*, and the ratios: theirs to ours."""
        ours, theirs = (statistics.median(values) / count * 1000 for values in (self.ours, self.theirs))
        times = statistics.median(slow / fast for fast, slow in zip(self.ours, self.theirs, strict=True))
        cpu = statistics.median(
            slow / fast for fast, slow in zip(self.ours_cpu, self.theirs_cpu, strict=True)
        )
        return (
            f"{self.unit}: Callsheet {ours:.1f} ms, by hand {theirs:.1f} ms; by hand takes {times:.2f} times "
            f"as long and {cpu:.2f} times the CPU"
        )


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(slow / fast for fast, slow in zip(ours, theirs, strict=True))


def main() -> None:
    """Print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=40, help="files to check in each round")
    parser.add_argument("--seconds", type=int, default=50, help="of the video that is re-encoded")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_all(Path(scratch), asked.rounds, asked.files, asked.seconds))


async def _all(scratch: Path, rounds: int, files: int, seconds: int) -> None:
    library = scratch / "library"
    library.mkdir()
    for number in range(files):
        _film(library / _name(number), 4, CHECKED[number % len(CHECKED)][1])
    _film(library / "minute.mp4", 60, H264)
    _film(library / "film.webm", seconds, (*VP8, "-c:a", "libopus"))
    async with desk(scratch, library) as at:
        await _checks(at, library, rounds, files)
        await _thumbnails(at, library, scratch, rounds)
        await _encodes(at, library, scratch, rounds)


async def _checks(at: Desk, library: Path, rounds: int, files: int) -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        print("ffprobe is left out: it is not installed (Debian: ffmpeg)")
        return
    items = [await scanned(at, _name(number)) for number in range(files)]
    paths = [library / _name(number) for number in range(files)]

    async def ours() -> None:
        for item in items:
            params = ValidateParams.model_validate({"videoId": item.id, "depth": "probe"})
            outcome = await Validate().process(params, at.context())
            assert outcome.result["verdict"] == "ok", outcome.result

    async def theirs() -> None:
        for path in paths:
            asked = ["-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
            _run([ffprobe, *asked])

    pair = await _measured("check", rounds, lambda _: ours(), lambda _: theirs())
    start_ms = statistics.median(_timed([ffprobe, "-version"]) for _ in range(files)) * 1000
    print(f"{pair.said(files)}; the start of {ffprobe} alone takes {start_ms:.1f} ms")


async def _thumbnails(at: Desk, library: Path, scratch: Path, rounds: int) -> None:
    item = await scanned(at, "minute.mp4")

    async def ours(number: int) -> None:
        asked = {"videoId": item.id, "timestamp": INSTANT_S + number / 100, "width": 640}
        outcome = await ThumbnailGenerate().process(
            ThumbnailGenerateParams.model_validate(asked), at.context()
        )
        assert outcome.derivatives

    async def theirs(number: int) -> None:
        _run(
            [
                FFMPEG, "-y", "-i", str(library / "minute.mp4"), "-ss", str(INSTANT_S), "-vframes", "1",
                "-vf", "scale=640:-1", str(scratch / f"{number}.jpg"),
            ]
        )  # fmt: skip

    pair = await _measured("thumbnail", rounds, ours, theirs)
    print(pair.said(1))


async def _encodes(at: Desk, library: Path, scratch: Path, rounds: int) -> None:
    item = await scanned(at, "film.webm")
    bare = await _bare_encode(at, item, library)
    processor = ReencodeStreaming()  # which chooses its encoder once

    async def ours(number: int) -> None:
        asked = {"videoId": item.id, "outputPath": f"{number}.mp4"}
        params = ReencodeStreamingParams.model_validate(asked)
        outcome = await processor.process(params, at.context())
        assert isinstance(outcome, Outcome)
        assert outcome.result["encoder"] == SOFTWARE.name, outcome.result

    async def theirs(number: int) -> None:
        bare(scratch / f"bare-{number}.mp4")

    pair = await _measured("re-encode", rounds, ours, theirs)
    print(pair.said(1))
    more = 1 / _ratio(pair.ours_cpu, pair.theirs_cpu) - 1
    print(f"a re-encode takes {more:.1%} more CPU than ffmpeg alone with the same arguments")


async def _bare_encode(at: Desk, item: Item, library: Path) -> Callable[[Path], None]:
    """Return what encodes with the very arguments of a job, but without all that stands around it."""
    context = at.context()
    with at.roots.open_file(item.facts.root, item.facts.path) as opened:
        survey = await surveyed(context, item, opened)

    def encode(out: Path) -> None:
        with (library / item.facts.path).open("rb") as source, out.open("wb+") as made:
            fds = (source.fileno(), made.fileno())
            arguments = whole_command(survey, StreamingWish(), SOFTWARE, *fds).arguments
            _run([FFMPEG, *arguments], fds)

    return encode


async def _measured(
    unit: str, rounds: int, ours: Callable[[int], Awaitable[None]], theirs: Callable[[int], Awaitable[None]]
) -> Pair:
    pair = Pair(unit)
    for number in range(rounds):
        with _watch(pair.ours, pair.ours_cpu):
            await ours(number)
        with _watch(pair.theirs, pair.theirs_cpu):
            await theirs(number)
    return pair


@contextmanager
def _watch(took: list[float], cpu: list[float]) -> Generator[None]:
    clock = SystemClock()
    start, used = clock.monotonic(), _cpu_s()
    yield
    took.append(clock.monotonic() - start)
    cpu.append(_cpu_s() - used)


def _cpu_s() -> float:
    """Return the CPU seconds of this process, of the children that ended, and of the decoders that live."""
    used = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    for pid in children:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _name(number: int) -> str:
    return f"{number:03d}.{CHECKED[number % len(CHECKED)][0]}"


def _film(path: Path, seconds: int, codec: Sequence[str]) -> None:
    source = f"testsrc2=size=1280x720:rate=25:duration={seconds},noise=alls=8:allf=t"
    sound = f"sine=frequency=440:duration={seconds}"
    _run([FFMPEG, "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", sound, "-shortest", *codec, str(path)])


def _timed(command: Sequence[str]) -> float:
    """Return the seconds that a command takes."""
    clock = SystemClock()
    start = clock.monotonic()
    _run(command)
    return clock.monotonic() - start


def _run(command: Sequence[str], fds: Sequence[int] = ()) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, pass_fds=fds)


if __name__ == "__main__":
    main()
