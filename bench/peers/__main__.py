"""Measures the queue beside graphile-worker and pgqueuer: same run, same PostgreSQL, fsync on.

The peers are installed under build/peers. Both take submissions by SQL and complete jobs in the
background, some at a time, as they do where they are set for speed; Callsheet takes them over gRPC and
tells a worker that a result is kept when its commit is done. Prints medians of several rounds, and ratios.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from bench.queue import CALLERS, PROBE_S, Figures, drain, flow, idle
from bench.rig import BATCH, disk_sync_ms, rig
from callsheet.service.clock import SystemClock

HERE: Final = Path(__file__).parent
GRAPHILE: Final = "graphile-worker@0.18.0"
PGQUEUER: Final = ("pgqueuer==1.6.0", "asyncpg==0.31.0", "uvloop==0.22.1")

FIGURES: Final = ("drain_per_s", "flow_per_s", "idle_p50_ms", "idle_p99_ms", "disk_sync_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another queue: how it is set up, run, and fed."""

    name: str
    install: Sequence[str]
    work: Sequence[str]
    submit: str
    """Statement that takes payloads, each empty or naming a probe."""
    left: str
    """Statement that says whether a job is left."""


def set_up(folder: Path, slots: int) -> list[Peer]:
    """Install the peers that the machine can run, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PGQUEUER], check=True)
    script = str(HERE / "pgqueuer_worker.py")
    peers = [
        Peer(
            name="pgqueuer",
            install=[str(python), script, "install", "{dsn}"],
            work=[str(python), script, "{dsn}", "{jobs}", str(slots)],
            submit="INSERT INTO pgqueuer (priority, entrypoint, payload, status, execute_after)"
            " SELECT 0, 'noop', convert_to(one, 'UTF8'), 'queued', now() FROM unnest($1::text[]) one",
            left="SELECT EXISTS (SELECT FROM pgqueuer)",
        )
    ]
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        print("graphile-worker is left out: it needs node and npm")
        return peers
    subprocess.run([npm, "install", "--silent", "--no-save", "--prefix", folder, GRAPHILE], check=True)
    cli = str(folder / "node_modules" / ".bin" / "graphile-worker")
    worker = [node, str(HERE / "graphile.mjs"), str(folder.absolute()), "{dsn}", "{jobs}", "24"]
    peers.append(
        Peer(
            name="graphile-worker",
            install=[cli, "--schema-only", "--connection", "{dsn}"],
            work=worker,
            submit="SELECT graphile_worker.add_jobs(array_agg(("
            "'noop', CASE one WHEN '' THEN '{}' ELSE json_build_object('probe', one) END,"
            " NULL, now(), NULL, NULL, NULL, NULL)::graphile_worker.job_spec)) FROM unnest($1::text[]) one",
            left="SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)",
        ),
    )
    return peers


class Fed:
    """A peer with a database of its own."""

    def __init__(self, peer: Peer, dsn: str, pool: asyncpg.Pool) -> None:
        self._peer = peer
        self._dsn = dsn
        self._pool = pool
        self._clock = SystemClock()

    @asynccontextmanager
    async def worker(self, jobs: int) -> AsyncGenerator[asyncio.StreamReader]:
        """Run its worker until the block ends, and return what it prints."""
        words = [word.format(dsn=self._dsn, jobs=jobs) for word in self._peer.work]
        running = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        out = running.stdout or asyncio.StreamReader()
        try:
            await _until(out, "ready")
            yield out
        finally:
            running.terminate()
            await running.wait()

    async def submit(self, payloads: Sequence[str]) -> None:
        """Submit a job of each payload in one statement."""
        await self._pool.execute(self._peer.submit, payloads)

    async def submit_many(self, jobs: int) -> None:
        """Submit jobs in batches, some at once."""
        batches = iter(range(0, jobs, BATCH))

        async def call() -> None:
            for start in batches:
                await self.submit([""] * min(BATCH, jobs - start))

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(call())

    async def finished(self, out: asyncio.StreamReader) -> None:
        """Wait until its worker has done all, and has it written."""
        await _until(out, "done")
        while await self._pool.fetchval(self._peer.left):
            await asyncio.sleep(0.005)

    async def drain(self, jobs: int) -> Figures:
        """Submit, then let a worker do all."""
        await self.submit_many(jobs)
        begun = self._clock.monotonic()
        async with self.worker(jobs) as out:
            begun = self._clock.monotonic()
            await self.finished(out)
            return {"drain_per_s": jobs / (self._clock.monotonic() - begun)}

    async def flow(self, jobs: int) -> Figures:
        """Submit and do at the same time."""
        async with self.worker(jobs) as out:
            begun = self._clock.monotonic()
            submitting = asyncio.create_task(self.submit_many(jobs))
            await self.finished(out)
            await submitting
            return {"flow_per_s": jobs / (self._clock.monotonic() - begun)}

    async def idle(self, probes: int) -> Figures:
        """Submit one after another, and see when each begins."""
        submitted: list[float] = []
        begun: dict[int, float] = {}
        async with self.worker(probes) as out:
            await asyncio.sleep(1.0)  # its first polls
            for number in range(probes):
                submitted.append(self._clock.monotonic())
                await self.submit([str(number)])
                await asyncio.sleep(PROBE_S)
            while len(begun) < probes:
                words = (await out.readline()).split()
                if words[0] == b"start":
                    begun[int(words[1])] = float(words[2])
        cuts = statistics.quantiles([begun[number] - at for number, at in enumerate(submitted)], n=100)
        return {"idle_p50_ms": cuts[49] * 1000, "idle_p99_ms": cuts[98] * 1000}


async def _until(out: asyncio.StreamReader, word: str) -> None:
    while line := await out.readline():
        if line.decode().strip() == word:
            return
    message = f"the worker ended before it said {word}"
    raise RuntimeError(message)


async def measure_peer(peer: Peer, options: argparse.Namespace) -> Figures:
    """Measure one peer, each part on a database of its own."""
    figures: Figures = {}
    for part, count in (("drain", options.jobs), ("flow", options.jobs), ("idle", options.probes)):
        with _folder() as name:
            async with EmbeddedPostgres(Path(name)) as dsn:
                figures["disk_sync_ms"] = disk_sync_ms(Path(name))
                words = [word.format(dsn=dsn) for word in peer.install]
                await asyncio.to_thread(subprocess.run, words, check=True, stdout=subprocess.DEVNULL)
                async with asyncpg.create_pool(dsn, min_size=CALLERS, max_size=CALLERS) as pool:
                    figures |= await getattr(Fed(peer, dsn, pool), part)(count)
    return figures


async def measure_callsheet(options: argparse.Namespace) -> Figures:
    """Measure ours, each part on a database of its own."""
    figures: Figures = {}
    for part in ("drain", "flow", "idle"):
        with _folder() as name:
            async with rig(Path(name)) as made:
                await made.meet()
                if part == "drain":
                    figures["drain_per_s"] = (await drain(made, jobs=options.jobs, slots=options.slots))[
                        f"drain_{options.slots}_slots_per_s"
                    ]
                elif part == "flow":
                    figures["flow_per_s"] = (await flow(made, jobs=options.jobs, slots=options.slots))[
                        f"flow_{options.slots}_slots_per_s"
                    ]
                else:
                    figures |= await idle(made, Path(name), probes=options.probes)
    return figures


def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="callsheet-peers-")
    Path(folder.name).chmod(0o711)  # so that the database of a root lies here too
    return folder


async def measure(options: argparse.Namespace) -> None:
    """Measure all, round by round so that a slow moment strikes each, and print."""
    peers = set_up(options.folder, options.slots)
    rounds: dict[str, list[Figures]] = {"callsheet": [], **{peer.name: [] for peer in peers}}
    for _ in range(options.rounds):
        rounds["callsheet"].append(await measure_callsheet(options))
        for peer in peers:
            rounds[peer.name].append(await measure_peer(peer, options))
    medians = {
        name: {key: statistics.median(float(one[key]) for one in figures) for key in FIGURES}
        for name, figures in rounds.items()
    }
    print(f"{'':>16}" + "".join(f"{key:>14}{'ours':>7}" for key in FIGURES))
    for name, figures in medians.items():
        ratios = {key: medians["callsheet"][key] / figures[key] for key in FIGURES}
        print(f"{name:>16}" + "".join(f"{figures[key]:>14,.1f}{ratios[key]:>6.2f}x" for key in FIGURES))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40_000)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/peers"))
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
