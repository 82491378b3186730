"""Workers that are killed at random instants of every job type, and what must be true afterwards."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import asyncpg
from pydantic import JsonValue

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.worker.lease import leased_name
from tests.support.media import film, quadrants, sound
from tests.support.onnx_models import put_model
from tests.support.processes import ended, until
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.worker_processes import WorkerProcess, descendants_of

LEASE_TTL_S: Final = "2"
PATIENCE_S: Final = 240.0
"""How long a job may take to complete, its worker's death and a busy machine included."""
FINAL: Final = {JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
ROOTS: Final = ("library", "outputs", "derivatives")

Params = dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one job of a round works on."""

    number: int
    folder: Path
    items: Mapping[str, str]
    """Ids of the library by path."""

    @property
    def film(self) -> str:
        """The item of a video."""
        return self.items["film.mkv"]

    @property
    def few(self) -> list[JsonValue]:
        """Items of every kind."""
        return [self.items[path] for path in ("film.mkv", "other.mp4", "tone.mp3", "a.png")]

    def wanted(self, suffix: str) -> str:
        """Return a path that no other round asks for."""
        return f"cuts/{self.number}.{suffix}"

    def arrived(self) -> str:
        """Put a new file into the library, which no scan has seen, and return its path."""
        path = f"arrived-{self.number}.png"
        quadrants(64 + self.number % 32, 48).save(self.folder / "library" / path)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """How jobs of one type are made, and when their worker is killed."""

    params: Callable[[Round], Params]
    span_s: float = 0.5
    """The worker is killed within so many seconds after the job began."""
    kind: str = "cpu"
    """Of the worker."""
    by: str = ""
    """The type of the job that is submitted, where that one makes such jobs."""


#: One line for each job type that ships; a test sees to it that none is left out.
VICTIMS: Final[Mapping[str, Victim]] = {
    "scan": Victim(params=lambda one: {"skipExisting": False, "path": one.arrived()}, span_s=0.3),
    "public_scan": Victim(params=lambda _: {"skipExisting": False, "pictures": False}, span_s=0.3),
    "validate": Victim(params=lambda one: {"videoId": one.film, "depth": "decode"}, span_s=0.3),
    "thumbnail_generate": Victim(params=lambda one: {"videoId": one.film, "width": 100 + one.number}),
    "derivatives_generate": Victim(params=lambda one: {"itemIds": one.few, "force": True}),
    "cache_build": Victim(
        params=lambda one: {"force": True, "batch": 2, "boxes": [100 + one.number]}, span_s=3
    ),
    "cache_sweep": Victim(params=lambda _: {"minAgeS": 0}, span_s=0.1),
    "compile_gif": Victim(params=lambda one: {"videoId": one.film, "outputPath": one.wanted("gif")}),
    "move_to_library": Victim(
        params=lambda one: {"inputPath": f"inbox/{one.number}.png", "outputPath": one.wanted("png")},
        span_s=0.1,
    ),
    "compile_quad": Victim(
        params=lambda one: {
            "videoIds": [one.film, one.items["other.mp4"]],
            "clipLength": 3 + one.number / 10,
            "outputPath": one.wanted("mp4"),
        },
        span_s=4,
        kind="gpu",
    ),
    "scene_extract": Victim(
        params=lambda one: {"videoId": one.film, "minLength": one.number}, span_s=1, kind="gpu"
    ),
    "reencode_streaming": Victim(
        params=lambda one: {
            "videoId": one.film,
            "crf": 15 + one.number % 30,
            "outputPath": one.wanted("mp4"),
        },
        span_s=4,
        kind="gpu",
    ),
    "reencode_chunk": Victim(
        params=lambda one: {
            "videoId": one.film,
            "crf": 15 + one.number % 30,
            "outputPath": one.wanted("mp4"),
            "distribute": "always",
        },
        span_s=8,
        kind="gpu",
        by="reencode_streaming",
    ),
    "tag_generation": Victim(
        params=lambda one: {"videoId": one.film, "frames": 1 + one.number % 32}, span_s=3, kind="gpu"
    ),
    "compile_random": Victim(
        params=lambda one: {"count": 2, "seed": str(one.number), "outputPath": one.wanted("mp4")},
        span_s=4,
        kind="gpu",
    ),
    "compile_mega": Victim(
        params=lambda one: {"count": 2, "seed": f"m{one.number}", "outputPath": one.wanted("mp4")},
        span_s=4,
        kind="gpu",
    ),
    "digest_generate": Victim(
        params=lambda one: {
            "videoId": one.film,
            "targetLength": 2 + one.number % 40 / 10,
            "outputPath": one.wanted("mp4"),
        },
        span_s=3,
        kind="gpu",
    ),
    "highlight_generate": Victim(
        params=lambda one: {
            "videoId": one.film,
            "clipLength": 1 + one.number % 40 / 20,
            "count": 3,
            "spacing": 1,
            "outputPath": one.wanted("mp4"),
        },
        span_s=3,
        kind="gpu",
    ),
    "clip_generate": Victim(
        params=lambda one: {
            "videoId": one.film,
            "ranges": [{"start": 0, "end": 2}, {"start": 1 + one.number % 40 / 10, "end": 6}],
            "exact": one.number % 2 == 0,
            "outputPath": one.wanted("mp4"),
        },
        span_s=3,
        kind="gpu",
    ),
}


@dataclass(slots=True, kw_only=True)
class Killing:
    """A scheduler, a worker of each kind, and a small library."""

    folder: Path
    jobs: Jobs
    database: asyncpg.Connection
    workers: Mapping[str, WorkerProcess]
    chance: Random
    hits: int = 0
    """Kills that met a job which was not final."""
    done: list[Job] = field(default_factory=list[Job])

    async def items(self) -> dict[str, str]:
        """Return the ids of the library by path."""
        rows = await self.database.fetch(
            "SELECT id, path FROM library_item WHERE root = 'library' AND state = 1"
        )
        return {row["path"]: str(row["id"]) for row in rows}

    async def round(self, number: int, job_type: str) -> Job:
        """Have a job done whose worker is killed at some instant, and return it as it ended."""
        victim = VICTIMS[job_type]
        worker = self.workers[victim.kind]
        one = Round(number=number, folder=self.folder, items=await self.items())
        await self.jobs.known(job_type)
        (job_id,) = await self.jobs.submitted(victim.by or job_type, params=json.dumps(victim.params(one)))
        await self._state(
            job_id, {JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_PENDING} | FINAL, begun=True
        )
        await asyncio.sleep(self.chance.uniform(0, victim.span_s))
        before = await self.jobs.seen(job_id)
        family = descendants_of(worker.pid)
        await worker.kill()
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: all(ended(pid) for pid in family))
        await worker.start()
        self.hits += before.state not in FINAL
        job = await self._state(job_id, FINAL)
        self.done.append(job)
        return job

    async def _state(self, job_id: str, states: set[JobState.ValueType], *, begun: bool = False) -> Job:
        """Wait until a job is in one of the states; *begun* asks for an attempt besides."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                job = await self.jobs.seen(job_id)
                if job.state in states and (job.attempt or not begun):
                    return job
                await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Let all that was caused come to its end, sweep, and end the workers."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._left():  # noqa: ASYNC110 -- other processes
                await asyncio.sleep(0.1)
            ids = await self.jobs.submitted("cache_sweep", params=json.dumps({"minAgeS": 0}))
            await self._state(ids[0], FINAL)
            await until(lambda: not self.leftovers())
        for worker in self.workers.values():
            await worker.left()

    async def _left(self) -> bool:
        """Say whether jobs are not final, or files not in their places."""
        return bool(
            await self.database.fetchval(
                "SELECT EXISTS (SELECT FROM job_live) OR EXISTS (SELECT FROM output_intent)"
            )
        )

    def files(self, root: str) -> set[str]:
        """Return what lies in a root."""
        folder = self.folder / root
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def leftovers(self) -> list[str]:
        """Return files that bear a lease's name."""
        paths = (f"{root}/{path}" for root in ROOTS for path in self.files(root))
        return sorted(path for path in paths if leased_name(path.rpartition("/")[2]))

    async def pointed_at(self, root: str) -> dict[str, int]:
        """Return the paths in a root that rows point at, and how large those say that they are."""
        rows = await self.database.fetch(
            "SELECT path, size_bytes FROM library_item WHERE root = $1 AND state <> 3"
            " UNION SELECT path, size_bytes FROM library_derivative WHERE root = $1 AND path <> ''",
            root,
        )
        return {row["path"]: row["size_bytes"] for row in rows}


def drawn(chance: Random, rounds: int, among: Collection[str] = VICTIMS) -> list[str]:
    """Return a job type for each round: all of *among*, in an order of chance, again and again."""
    types: list[str] = []
    while len(types) < rounds:
        types += chance.sample(sorted(among), len(among))
    return types[:rounds]


@asynccontextmanager
async def killing(dsn: str, folder: Path, seed: str, rounds: int) -> AsyncGenerator[Killing]:
    """Start all of it, with a library that was scanned and has a picture to move for each round."""
    for name in (*ROOTS, "scratch", "library/inbox"):
        (folder / name).mkdir()
    for number in range(rounds):
        quadrants(64 + number, 48).save(folder / f"library/inbox/{number}.png")
    film(folder / "library/film.mkv", seconds=8, size="320x240", codec=("-c:v", "mpeg4", "-q:v", "3"))
    film(folder / "library/other.mp4", seconds=4)
    sound(folder / "library/tone.mp3")
    quadrants().save(folder / "library/a.png")
    put_model(folder / "models")
    settings = {
        "CALLSHEET_ROOTS": json.dumps({one: {"path": str(folder / one), "writable": True} for one in ROOTS}),
        "CALLSHEET_SOFTWARE_GPU": "true",
        "CALLSHEET_CHUNK_S": "2",
        "CALLSHEET_MODEL_DIR": str(folder / "models"),
        "CALLSHEET_SWEEP_INTERVAL_S": "1",
        "TMPDIR": str(folder / "scratch"),
    }
    async with (
        real_scheduler(dsn, folder, lease_ttl_s=LEASE_TTL_S) as scheduler,
        open_channel(scheduler.address) as channel,
    ):
        workers = {
            kind: WorkerProcess(scheduler.address, folder, kind, settings, kind=kind)
            for kind in ("cpu", "gpu")
        }
        database = await asyncpg.connect(dsn, ssl=False, timeout=30, command_timeout=30)
        try:
            for worker in workers.values():
                await worker.start()
            jobs = Jobs(channel)
            await jobs.known("scan", "reencode_streaming")
            await jobs.reached(await jobs.submitted("scan"), JobState.JOB_STATE_COMPLETED)
            yield Killing(
                folder=folder,
                jobs=jobs,
                database=database,
                workers=workers,
                chance=Random(seed),  # noqa: S311 -- a plan, no secret
            )
        finally:
            for worker in workers.values():
                await worker.kill()
            await database.close()
