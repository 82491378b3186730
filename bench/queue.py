"""Measures the queue: durable no-op jobs through gRPC, done by a real worker process.

Each completion is fenced and committed before it is acknowledged, with fsync on. Prints jobs per second and
the time from submission to start, with the machine's facts.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from bench.rig import BATCH, Rig, disk_sync_ms, rig

#: Submissions under way at once while jobs flow.
CALLERS: Final = 3

#: Seconds from one probe of the idle queue to the next.
PROBE_S: Final = 0.02

Figures: TypeAlias = dict[str, str | float]

Part: TypeAlias = Callable[[Rig, Path], Coroutine[object, object, Figures]]


async def drain(made: Rig, *, jobs: int, slots: int) -> Figures:
    """Submit *jobs* with nobody there, then let a worker do them all."""
    begun = made.clock.monotonic()
    await made.submit_many(jobs)
    submitted_s = made.clock.monotonic() - begun
    async with made.worker(slots):
        begun, already = made.clock.monotonic(), await made.completed()
        await made.until_completed(jobs)
        drained_s = made.clock.monotonic() - begun
    return {
        "submit_per_s": round(jobs / submitted_s),
        f"drain_{slots}_slots_per_s": round((jobs - already) / drained_s),
    }


async def flow(made: Rig, *, jobs: int, slots: int, waiting: int = 0) -> Figures:
    """Submit and do *jobs* at the same time, while *waiting* others wait all along."""
    await made.submit_many(waiting, callers=CALLERS)
    memory_mib = made.memory_mib()
    async with made.worker(slots):
        await made.until_completed(await made.completed() + min(BATCH, waiting))
        begun, already = made.clock.monotonic(), await made.completed()
        async with asyncio.TaskGroup() as group:  # a submission that fails ends the wait too
            group.create_task(made.submit_many(jobs, callers=CALLERS))
            await made.until_completed(already + jobs)
        flowed_s = made.clock.monotonic() - begun
        if not waiting:
            return {f"flow_{slots}_slots_per_s": round(jobs / flowed_s)}
    return {
        f"flow_with_{waiting}_waiting_per_s": round(jobs / flowed_s),
        f"scheduler_mib_with_{waiting}_waiting": round(memory_mib),
    }


async def idle(made: Rig, folder: Path, *, probes: int) -> Figures:
    """Submit one job after another to a worker that waits, and see when each begins."""
    starts = folder / "starts"
    submitted: dict[str, float] = {}
    async with made.worker(10, starts=starts):
        already = await made.completed()
        for _ in range(probes):
            at = made.clock.monotonic()
            [job_id] = await made.submit(1)
            submitted[job_id] = at
            await asyncio.sleep(PROBE_S)
        await made.until_completed(already + probes)
    started = dict(line.split() for line in starts.read_text().splitlines())
    cuts = statistics.quantiles([float(started[one]) - at for one, at in submitted.items()], n=100)
    return {
        "idle_p50_ms": round(cuts[49] * 1000, 2),
        "idle_p99_ms": round(cuts[98] * 1000, 2),
        "disk_sync_ms": round(disk_sync_ms(folder), 2),
    }


async def measure(options: argparse.Namespace) -> Figures:
    """Run what *options* ask for and return its figures; each part has a database of its own."""
    figures: Figures = {
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "fsync": "on",
        "jobs": options.jobs,
    }
    few = max(options.jobs // 10, BATCH)
    parts: dict[str, Part] = {
        "drain": lambda made, _: drain(made, jobs=options.jobs, slots=500),
        "flow": lambda made, _: flow(made, jobs=options.jobs, slots=500),
        "drain-5": lambda made, _: drain(made, jobs=few, slots=5),
        "flow-5": lambda made, _: flow(made, jobs=few, slots=5),
        "idle": lambda made, folder: idle(made, folder, probes=options.probes),
    }
    for waiting in options.waiting:
        parts[f"waiting-{waiting}"] = _flow_behind(options.jobs, waiting)
    for name in options.only or parts:
        with folder_of_bench() as folder:
            async with rig(folder) as made:
                await made.meet()
                figures |= await parts[name](made, folder)
    return figures


@contextmanager
def folder_of_bench() -> Generator[Path]:
    """Give a folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # so that the database of a root lies here too
        yield folder


def _flow_behind(jobs: int, waiting: int) -> Part:
    async def part(made: Rig, _: Path) -> Figures:
        return await flow(made, jobs=jobs, slots=500, waiting=waiting)

    return part


def report(figures: Figures) -> Iterable[str]:
    """Return the lines for a person."""
    width = max(map(len, figures))
    return (f"{name:>{width}}  {value}" for name, value in figures.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40_000)
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--waiting", type=int, nargs="*", default=[], help="also flow with so many waiting")
    parser.add_argument("--only", nargs="*", help="drain, flow, drain-5, flow-5, idle, waiting-N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        figures = asyncio.run(measure(options))
        print(json.dumps(figures) if options.json else "\n".join(report(figures)))


if __name__ == "__main__":
    main()
