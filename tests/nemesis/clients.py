"""Clients that submit, cancel, retry, read and pause at random, and note what they asked and heard."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from pydantic import JsonValue

from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import NewJob
from callsheet.verify.recorder import Recorder
from tests.nemesis.calls import PAUSE_S, Calls
from tests.nemesis.plan import WORKERS

TRIES_MAX: Final = 300
"""Tries of a call that must be made."""
BATCH_MAX: Final = 8
HOLDS_S: Final = (0.1, 1.0, 3.0)
"""How long a type stays paused and a worker drained; the laws about it leave a second at either end."""
GRACES_S: Final = (0, 1, 60)
"""How long the attempts of a drained worker may go on."""
WORKER_NAMES: Final = tuple(f"worker-{number}" for number in range(WORKERS))
OUTPUT_PART: Final = 0.2
"""How many of the jobs make a file."""
THINK_S: Final = 0.06
"""The longest pause of a client between two calls."""
HELD: Final = "held"
"""The job type that clients pause."""


@dataclass(slots=True, kw_only=True)
class Load:
    """What all clients of a round know."""

    ids: list[str] = field(default_factory=list[str])
    """Jobs that were asked for."""
    paused: set[str] = field(default_factory=set[str])
    """Jobs whose pause was asked for."""


class RecordedClient:
    """One client, with a connection of its own to all schedulers."""

    def __init__(self, name: str, target: str, recorder: Recorder, load: Load) -> None:
        self._load = load
        self._chance = Random(name)  # noqa: S311 -- chance that can be repeated
        self._calls = Calls(name, target, recorder)

    async def close(self) -> None:
        """Hang up."""
        await self._calls.close()

    async def make_calls(self, stop: asyncio.Event) -> None:
        """Make calls, one after another, until *stop* is set."""
        doings = (
            self.prioritize,
            self.submit,
            self.cancel,
            self.retry,
            self.read,
            self.hold_type,
            self.hold_worker,
            self.hold_job,
            self.submit_other,
        )
        while not stop.is_set():
            doing = self._chance.choices(doings, weights=(6, 50, 10, 10, 14, 4, 3, 8, 4))[0]
            await doing()
            await asyncio.sleep(self._chance.uniform(0.0, THINK_S))

    async def submit(self) -> None:
        """Submit some jobs, and most of the time again until their fate is known."""
        jobs = [self._new_job() for _ in range(self._chance.randint(1, BATCH_MAX))]
        self._load.ids += [job.id for job in jobs]
        tries = self._chance.choice((1, 2, 20, 20, 20))
        for _ in range(tries):
            if await self._calls.submit(jobs) != "unknown":
                return
            await asyncio.sleep(PAUSE_S)

    async def submit_other(self) -> None:
        """Submit another body under an id that is known."""
        job_id = self._known()
        if job_id:
            await self._calls.submit([NewJob(id=job_id, type="brisk", priority=9, max_retries=7)])

    async def cancel(self) -> None:
        """Cancel some job."""
        await self._about("cancel", self._known())

    async def retry(self) -> None:
        """Retry some job, which may be possible or not."""
        await self._about("retry", self._known())

    async def read(self) -> None:
        """Read some job."""
        await self._about("read", self._known())

    async def prioritize(self) -> None:
        """Give some job another priority."""
        await self._about("prioritize", self._known(), priority=self._chance.randint(1, 10))

    async def hold_type(self) -> None:
        """Pause a type of jobs, and let it go on a little later."""
        if await self._calls.hold(HELD) == "ok":
            await asyncio.sleep(self._chance.choice(HOLDS_S))
        await self._calls.release(HELD)

    async def hold_worker(self) -> None:
        """Drain a worker, and let it work again a little later."""
        worker = self._chance.choice(WORKER_NAMES)
        if await self._calls.drain(worker, self._chance.choice(GRACES_S)) == "ok":
            await asyncio.sleep(self._chance.choice(HOLDS_S))
        await self._calls.undrain(worker)

    async def hold_job(self) -> None:
        """Pause some job, or let a paused one go on."""
        held = sorted(self._load.paused)
        if held and self._chance.random() < 0.5:
            await self._release(self._chance.choice(held))
            return
        job_id = self._known()
        self._load.paused.add(job_id)
        if await self._about("pause", job_id) == "refused":
            self._load.paused.discard(job_id)

    async def release_all(self) -> None:
        """Let everything go on that was paused or may have been."""
        await self._until_known(partial(self._calls.release, HELD))
        for worker in WORKER_NAMES:
            await self._until_known(partial(self._calls.undrain, worker))
        for job_id in sorted(self._load.paused):
            await self._until_known(partial(self._release, job_id))

    async def _until_known(self, call: Callable[[], Awaitable[str]]) -> None:
        for _ in range(TRIES_MAX):
            if await call() != "unknown":
                return
            await asyncio.sleep(PAUSE_S)

    async def _release(self, job_id: str) -> str:
        outcome = await self._about("resume", job_id)
        if outcome != "unknown":
            self._load.paused.discard(job_id)
        return outcome

    async def _about(self, op: str, job_id: str, *, priority: int = 0) -> str:
        return await self._calls.about(op, job_id, priority=priority) if job_id else "refused"

    # Chance

    def _known(self) -> str:
        return self._chance.choice(self._load.ids) if self._load.ids else ""

    def _new_job(self) -> NewJob:
        chance = self._chance
        ending = chance.choices(("completed", "transient", "bad_input", "bug"), weights=(70, 16, 8, 6))[0]
        params: dict[str, JsonValue] = {
            "steps": chance.choice((0, 0, 1, 5)),
            "stepS": chance.choice((0.0, 0.01, 0.05, 0.2)),
            "ending": ending,
            "firstAttempts": chance.choice((1, 1, 2, 9)),
            "followUps": [new_job_id() for _ in range(chance.choice((0, 0, 0, 0, 1, 3)))],
        }
        job_id = new_job_id()
        if chance.random() < OUTPUT_PART:
            params["output"] = f"{job_id[-2:]}/{job_id}.txt"
        return NewJob(
            id=job_id,
            type=chance.choices(("brisk", "steady", HELD), weights=(5, 3, 2))[0],
            params_json=json.dumps(params),
            priority=chance.randint(1, 10),
            max_retries=chance.randint(0, 3),
            interactive=chance.random() < 0.2,
        )
