"""Has things made that somebody waits for, each once however many wait."""

import asyncio
import json
from typing import Final

from pydantic import JsonValue

from callsheet.client import Client
from callsheet.errors import InvalidError, OverloadedError, UnavailableError
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.within import within
from callsheet_gateway.metrics import MISSES

URGENT: Final = 1
"""The priority of a job that somebody waits for."""
FULL_RETRY_S: Final = 5.0

Wish = tuple[str, str]
"""A job's type and its parameters as JSON with sorted keys."""


class Making:
    """The interactive jobs that requests wait for."""

    def __init__(self, client: Client, *, wait_s: float, wishes_max: int) -> None:
        self._client = client
        self._wait_s = wait_s
        self._wishes_max = wishes_max
        self._under_way: dict[Wish, asyncio.Task[Job]] = {}

    async def make(self, job_type: str, params: dict[str, JsonValue], *, field: str, by: str) -> None:
        """Submit a job that overtakes others, and wait until it has completed.

        A caller that asks for what is in the making already waits for the same job.

        Args:
            job_type: Its name.
            params: Its parameters.
            field: What a failure is blamed on.
            by: Who asks. Of several who ask for the same the job is the first one's.

        Raises:
            InvalidError: The job failed; says why.
            OverloadedError: Too much is in the making.
            UnavailableError: It takes longer than the wait; it goes on.
        """
        working = self._working((job_type, json.dumps(params, sort_keys=True)), by)
        try:
            async with within(self._wait_s):
                job = await asyncio.shield(working)
        except TimeoutError as error:
            raise UnavailableError(
                f"it is still being made after {self._wait_s:g} s; ask again, the job goes on"
            ) from error
        if job.state != JobState.JOB_STATE_COMPLETED:
            raise InvalidError(job.error or "the job that makes it was cancelled", field=field)

    async def close(self) -> None:
        """Wait no longer; the jobs go on."""
        for working in self._under_way.values():
            working.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _working(self, wish: Wish, by: str) -> "asyncio.Task[Job]":
        working = self._under_way.get(wish)
        if working is None:
            if len(self._under_way) >= self._wishes_max:
                raise OverloadedError(
                    f"{self._wishes_max} things are being made for waiting requests",
                    retry_after_s=FULL_RETRY_S,
                )
            working = asyncio.create_task(self._run(wish, by))
            self._under_way[wish] = working
            working.add_done_callback(lambda done: self._forget(wish, done))
            MISSES.labels(wish[0]).inc()
        return working

    def _forget(self, wish: Wish, done: "asyncio.Task[Job]") -> None:
        del self._under_way[wish]
        if not done.cancelled():
            done.exception()  # seen, should nobody wait any more

    async def _run(self, wish: Wish, by: str) -> Job:
        job_type, params_json = wish
        new = NewJob(
            type=job_type,
            params_json=params_json,
            priority=URGENT,
            interactive=True,
            max_retries=0,
            submitted_by=by,
        )
        submitted = await self._client.submit(new)
        return await self._client.final(submitted.id)
