"""The client library: asynchronous, typed, and safe to retry."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from callsheet.channel import open_channel
from callsheet.errors import UnavailableError
from callsheet.ids import new_job_id
from callsheet.v1 import fleet_service_pb2 as fleet
from callsheet.v1 import job_service_pb2 as jobs
from callsheet.v1 import library_service_pb2 as library
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.wire_errors import from_rpc_error

#: Seconds that one try of a call may take.
CALL_DEADLINE_S: Final = 5.0

#: Seconds between the first and the second try; doubles up to the second number.
PAUSE_S: Final = (0.05, 1.0)

AnswerT = TypeVar("AnswerT")


class Client:
    """Speaks with the scheduler. Calls that find it away are repeated; submissions carry ids of their
    own, so a repetition is the same job.

    Every method raises the errors of ``callsheet.errors``.
    """

    def __init__(self, target: str, *, token: str | None = None, patience_s: float = 10.0) -> None:
        """Prepare a client.

        Args:
            target: host:port of the scheduler, or several separated by commas.
            token: The join token.
            patience_s: How many seconds a call is repeated while the scheduler is away.
        """
        self._channel = open_channel(target, token=token)
        self._patience_s = patience_s
        self._jobs = JobServiceStub(self._channel)
        self._library = LibraryServiceStub(self._channel)
        self._fleet = FleetServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    # ---- jobs ----

    async def submit(self, new_jobs: Sequence[NewJob]) -> list[jobs.SubmittedJob]:
        """Submit up to 1,000 jobs in one transaction; those without an id get one."""
        request = jobs.SubmitJobsRequest(jobs=new_jobs)
        for job in request.jobs:
            job.id = job.id or new_job_id()
        answer = await self._call(lambda: self._jobs.SubmitJobs(request, timeout=CALL_DEADLINE_S * 2))
        return list(answer.jobs)

    async def job(self, job_id: str) -> Job:
        """Return one job with its attempts."""
        request = jobs.GetJobRequest(id=job_id)
        return (await self._call(lambda: self._jobs.GetJob(request, timeout=CALL_DEADLINE_S))).job

    async def list_jobs(self, request: jobs.ListJobsRequest) -> jobs.ListJobsResponse:
        """Return one page of jobs."""
        return await self._call(lambda: self._jobs.ListJobs(request, timeout=CALL_DEADLINE_S * 2))

    async def cancel(self, job_id: str, *, requested_by: str = "") -> Job:
        """End a job and return it as it is then."""
        request = jobs.CancelJobRequest(id=job_id, requested_by=requested_by)
        return (await self._call(lambda: self._jobs.CancelJob(request, timeout=CALL_DEADLINE_S))).job

    async def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job back into the queue."""
        request = jobs.RetryJobRequest(id=job_id)
        return (await self._call(lambda: self._jobs.RetryJob(request, timeout=CALL_DEADLINE_S))).job

    async def stats(self) -> jobs.GetStatsResponse:
        """Return counts of the whole queue."""
        request = jobs.GetStatsRequest()
        return await self._call(lambda: self._jobs.GetStats(request, timeout=CALL_DEADLINE_S))

    async def job_types(self) -> list[jobs.JobType]:
        """Return every known job type."""
        request = jobs.ListJobTypesRequest()
        answer = await self._call(lambda: self._jobs.ListJobTypes(request, timeout=CALL_DEADLINE_S))
        return list(answer.types)

    async def watch(self, ids: Sequence[str] = ()) -> AsyncIterator[list[Job]]:
        """Yield changed jobs, first the named ones as they are; goes on over a lost connection."""
        pauses = _pauses()
        while True:
            request = jobs.WatchJobsRequest(ids=ids, initial=True)
            try:
                async for answer in self._jobs.WatchJobs(request):
                    pauses = _pauses()
                    yield list(answer.jobs)
            except grpc.aio.AioRpcError as error:
                cause = from_rpc_error(error)
                if not isinstance(cause, UnavailableError):
                    raise cause from error
            await asyncio.sleep(next(pauses))

    async def read_log(self, job_id: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Yield the log in pieces of complete lines; with *follow* until the job is final."""
        request = jobs.ReadLogRequest(id=job_id, follow=follow)
        try:
            async for answer in self._jobs.ReadLog(request):
                yield answer.text
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    # ---- library and fleet ----

    async def items(self, request: library.ListItemsRequest) -> library.ListItemsResponse:
        """Return one page of items."""
        return await self._call(lambda: self._library.ListItems(request, timeout=CALL_DEADLINE_S * 2))

    async def all_items(self, request: library.ListItemsRequest) -> AsyncIterator[library.Item]:
        """Yield every item that passes the filters of *request*."""
        page = library.ListItemsRequest()
        page.CopyFrom(request)
        while True:
            answer = await self.items(page)
            for item in answer.items:
                yield item
            if not answer.next_page_token:
                return
            page.page_token = answer.next_page_token

    async def item(self, *, item_id: str = "", root: str = "", path: str = "") -> library.Item:
        """Return one item, by id or by root and path."""
        request = library.GetItemRequest(id=item_id, root=root, path=path)
        return (await self._call(lambda: self._library.GetItem(request, timeout=CALL_DEADLINE_S))).item

    async def cache_stats(self) -> library.GetCacheStatsResponse:
        """Return how much is cached."""
        request = library.GetCacheStatsRequest()
        return await self._call(lambda: self._library.GetCacheStats(request, timeout=CALL_DEADLINE_S))

    async def workers(self) -> list[fleet.Worker]:
        """Return the fleet."""
        request = fleet.ListWorkersRequest()
        answer = await self._call(lambda: self._fleet.ListWorkers(request, timeout=CALL_DEADLINE_S))
        return list(answer.workers)

    async def _call(self, call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        pauses = _pauses()
        try:
            async with asyncio.timeout(self._patience_s) as patience:
                while True:
                    try:
                        return await call()
                    except grpc.aio.AioRpcError as error:
                        cause = from_rpc_error(error)
                        if not isinstance(cause, UnavailableError):
                            raise cause from error
                        deadline = patience.when()
                        pause_s = next(pauses)
                        if deadline is None or asyncio.get_running_loop().time() + pause_s >= deadline:
                            raise cause from error
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            message = "the scheduler did not answer in time; repeat the call"
            raise UnavailableError(message) from None


def _pauses() -> "PauseIterator":
    return PauseIterator()


class PauseIterator:
    """Seconds to wait before the next try: doubling, with jitter."""

    def __init__(self) -> None:
        self._pause_s, self._most_s = PAUSE_S
        self._chance = random.SystemRandom()

    def __next__(self) -> float:
        pause_s = self._pause_s * self._chance.uniform(0.5, 1.0)
        self._pause_s = min(self._pause_s * 2, self._most_s)
        return pause_s
