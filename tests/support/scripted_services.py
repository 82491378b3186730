"""Services of the contract on loopback whose answers a test writes down beforehand."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.service.server import make_server, serve
from callsheet.v1 import fleet_service_pb2 as fleet
from callsheet.v1 import job_service_pb2 as jobs
from callsheet.v1 import library_service_pb2 as library
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceServicer, add_FleetServiceServicer_to_server
from callsheet.v1.job_service_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server
from callsheet.v1.library_service_pb2_grpc import LibraryServiceServicer, add_LibraryServiceServicer_to_server

Step: TypeAlias = Message | Exception | Callable[[], Awaitable[None]]
"""An answer, an error to raise, or something to do before the next step."""

Context = grpc.aio.ServicerContext[Message, Message]

NAMES = ("callsheet.v1.JobService", "callsheet.v1.LibraryService", "callsheet.v1.FleetService")


class Script:
    """What each method does, call by call, and what it was asked. The last steps serve all later calls."""

    def __init__(self) -> None:
        self.asked: defaultdict[str, list[Message]] = defaultdict(list)
        self.steps: dict[str, list[list[Step]]] = {}

    def will(self, method: str, *calls: Step | list[Step]) -> None:
        """Write down what the next calls of *method* do: one step, or several."""
        self.steps[method] = [call if isinstance(call, list) else [call] for call in calls]

    async def play(self, method: str, request: Message) -> AsyncIterator[Message]:
        """Do what the next call of *method* does."""
        number = len(self.asked[method])
        self.asked[method].append(request)
        calls = self.steps[method]
        for step in calls[min(number, len(calls) - 1)]:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Message):
                yield step
            else:
                await step()

    async def one(self, method: str, request: Message) -> Message:
        """Do what the next call of *method* does, and return its only answer."""
        [answer] = [answer async for answer in self.play(method, request)]
        return answer


class _Jobs(JobServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    @override
    async def SubmitJobs(self, request: jobs.SubmitJobsRequest, context: Context) -> jobs.SubmitJobsResponse:
        answer = await self._script.one("SubmitJobs", request)
        assert isinstance(answer, jobs.SubmitJobsResponse)
        return answer

    @override
    async def GetJob(self, request: jobs.GetJobRequest, context: Context) -> jobs.GetJobResponse:
        answer = await self._script.one("GetJob", request)
        assert isinstance(answer, jobs.GetJobResponse)
        return answer

    @override
    async def ListJobs(self, request: jobs.ListJobsRequest, context: Context) -> jobs.ListJobsResponse:
        answer = await self._script.one("ListJobs", request)
        assert isinstance(answer, jobs.ListJobsResponse)
        return answer

    @override
    async def CancelJob(self, request: jobs.CancelJobRequest, context: Context) -> jobs.CancelJobResponse:
        answer = await self._script.one("CancelJob", request)
        assert isinstance(answer, jobs.CancelJobResponse)
        return answer

    @override
    async def RetryJob(self, request: jobs.RetryJobRequest, context: Context) -> jobs.RetryJobResponse:
        answer = await self._script.one("RetryJob", request)
        assert isinstance(answer, jobs.RetryJobResponse)
        return answer

    @override
    async def PauseJob(self, request: jobs.PauseJobRequest, context: Context) -> jobs.PauseJobResponse:
        answer = await self._script.one("PauseJob", request)
        assert isinstance(answer, jobs.PauseJobResponse)
        return answer

    @override
    async def ResumeJob(self, request: jobs.ResumeJobRequest, context: Context) -> jobs.ResumeJobResponse:
        answer = await self._script.one("ResumeJob", request)
        assert isinstance(answer, jobs.ResumeJobResponse)
        return answer

    @override
    async def PrioritizeJob(
        self, request: jobs.PrioritizeJobRequest, context: Context
    ) -> jobs.PrioritizeJobResponse:
        answer = await self._script.one("PrioritizeJob", request)
        assert isinstance(answer, jobs.PrioritizeJobResponse)
        return answer

    @override
    async def ActOnJobs(self, request: jobs.ActOnJobsRequest, context: Context) -> jobs.ActOnJobsResponse:
        answer = await self._script.one("ActOnJobs", request)
        assert isinstance(answer, jobs.ActOnJobsResponse)
        return answer

    @override
    async def WatchJobs(
        self, request: jobs.WatchJobsRequest, context: Context
    ) -> AsyncIterator[jobs.WatchJobsResponse]:
        async for answer in self._script.play("WatchJobs", request):
            assert isinstance(answer, jobs.WatchJobsResponse)
            yield answer

    @override
    async def ReadLog(
        self, request: jobs.ReadLogRequest, context: Context
    ) -> AsyncIterator[jobs.ReadLogResponse]:
        async for answer in self._script.play("ReadLog", request):
            assert isinstance(answer, jobs.ReadLogResponse)
            yield answer

    @override
    async def GetStats(self, request: jobs.GetStatsRequest, context: Context) -> jobs.GetStatsResponse:
        answer = await self._script.one("GetStats", request)
        assert isinstance(answer, jobs.GetStatsResponse)
        return answer

    @override
    async def ListJobTypes(
        self, request: jobs.ListJobTypesRequest, context: Context
    ) -> jobs.ListJobTypesResponse:
        answer = await self._script.one("ListJobTypes", request)
        assert isinstance(answer, jobs.ListJobTypesResponse)
        return answer


class _Library(LibraryServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    @override
    async def UpsertItems(
        self, request: library.UpsertItemsRequest, context: Context
    ) -> library.UpsertItemsResponse:
        answer = await self._script.one("UpsertItems", request)
        assert isinstance(answer, library.UpsertItemsResponse)
        return answer

    @override
    async def ListItems(
        self, request: library.ListItemsRequest, context: Context
    ) -> library.ListItemsResponse:
        answer = await self._script.one("ListItems", request)
        assert isinstance(answer, library.ListItemsResponse)
        return answer

    @override
    async def GetItem(self, request: library.GetItemRequest, context: Context) -> library.GetItemResponse:
        answer = await self._script.one("GetItem", request)
        assert isinstance(answer, library.GetItemResponse)
        return answer

    @override
    async def GetItems(self, request: library.GetItemsRequest, context: Context) -> library.GetItemsResponse:
        answer = await self._script.one("GetItems", request)
        assert isinstance(answer, library.GetItemsResponse)
        return answer

    @override
    async def GetCacheStats(
        self, request: library.GetCacheStatsRequest, context: Context
    ) -> library.GetCacheStatsResponse:
        answer = await self._script.one("GetCacheStats", request)
        assert isinstance(answer, library.GetCacheStatsResponse)
        return answer


class _Fleet(FleetServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    @override
    async def ListWorkers(
        self, request: fleet.ListWorkersRequest, context: Context
    ) -> fleet.ListWorkersResponse:
        answer = await self._script.one("ListWorkers", request)
        assert isinstance(answer, fleet.ListWorkersResponse)
        return answer

    @override
    async def DrainWorker(
        self, request: fleet.DrainWorkerRequest, context: Context
    ) -> fleet.DrainWorkerResponse:
        answer = await self._script.one("DrainWorker", request)
        assert isinstance(answer, fleet.DrainWorkerResponse)
        return answer

    @override
    async def ResumeWorker(
        self, request: fleet.ResumeWorkerRequest, context: Context
    ) -> fleet.ResumeWorkerResponse:
        answer = await self._script.one("ResumeWorker", request)
        assert isinstance(answer, fleet.ResumeWorkerResponse)
        return answer

    @override
    async def ListQueues(
        self, request: fleet.ListQueuesRequest, context: Context
    ) -> fleet.ListQueuesResponse:
        answer = await self._script.one("ListQueues", request)
        assert isinstance(answer, fleet.ListQueuesResponse)
        return answer

    @override
    async def PauseQueue(
        self, request: fleet.PauseQueueRequest, context: Context
    ) -> fleet.PauseQueueResponse:
        answer = await self._script.one("PauseQueue", request)
        assert isinstance(answer, fleet.PauseQueueResponse)
        return answer

    @override
    async def ResumeQueue(
        self, request: fleet.ResumeQueueRequest, context: Context
    ) -> fleet.ResumeQueueResponse:
        answer = await self._script.one("ResumeQueue", request)
        assert isinstance(answer, fleet.ResumeQueueResponse)
        return answer

    @override
    async def LimitQueue(
        self, request: fleet.LimitQueueRequest, context: Context
    ) -> fleet.LimitQueueResponse:
        answer = await self._script.one("LimitQueue", request)
        assert isinstance(answer, fleet.LimitQueueResponse)
        return answer


def add_services(script: Script, server: grpc.aio.Server) -> None:
    """Let *server* answer as *script* says."""
    add_JobServiceServicer_to_server(_Jobs(script), server)
    add_LibraryServiceServicer_to_server(_Library(script), server)
    add_FleetServiceServicer_to_server(_Fleet(script), server)


@asynccontextmanager
async def serving(
    script: Script, *, token: str | None = None, deadline_s: float = 30.0, port: int = 0
) -> AsyncGenerator[str]:
    """Serve *script* and yield the address."""
    server = make_server(token=token, deadline_s=deadline_s)
    add_services(script, server)
    bound = await serve(server, f"127.0.0.1:{port}", NAMES)
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(None)
