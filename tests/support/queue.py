"""The queue as tests use it: submit, wait for a state, read a log, over the service's own stubs."""

import asyncio
from collections.abc import Sequence

import grpc
from google.protobuf.duration_pb2 import Duration

from callsheet.ids import new_job_id
from callsheet.v1.fleet_service_pb2 import DrainWorkerRequest, ListWorkersRequest, ResumeWorkerRequest
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    ListJobsRequest,
    ListJobTypesRequest,
    PauseJobRequest,
    ReadLogRequest,
    ResumeJobRequest,
    SubmitJobsRequest,
    WatchJobsRequest,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.patience import PATIENCE_S

#: How long one call may take.
CALL_DEADLINE_S = 60.0


class Jobs:
    """JobService over a channel. A scheduler that is away is waited for."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = JobServiceStub(channel)
        self._fleet = FleetServiceStub(channel)

    async def submitted(
        self,
        *types: str,
        max_retries: int = 3,
        params: str = "{}",
        vram_mib: int | None = None,
        collection: str = "",
    ) -> list[str]:
        """Submit a job of each type and return their ids."""
        new = [
            NewJob(
                id=new_job_id(),
                type=name,
                max_retries=max_retries,
                params_json=params,
                vram_mib=vram_mib,
                collection=collection,
            )
            for name in types
        ]
        await self._stub.SubmitJobs(SubmitJobsRequest(jobs=new), timeout=CALL_DEADLINE_S)
        return [job.id for job in new]

    async def reached(self, ids: Sequence[str], state: JobState.ValueType) -> list[Job]:
        """Wait until every job is in *state* and return them with their attempts."""
        waiting = set(ids)
        async with asyncio.timeout(PATIENCE_S):
            while waiting:
                request = WatchJobsRequest(ids=sorted(waiting), initial=True)
                call = self._stub.WatchJobs(request, wait_for_ready=True)
                try:
                    async for response in call:
                        waiting -= {job.id for job in response.jobs if job.state == state}
                        if not waiting:
                            break
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                finally:
                    call.cancel()
        return [await self.seen(job_id) for job_id in ids]

    async def seen(self, job_id: str) -> Job:
        """Return a job as it is."""
        return (await self._stub.GetJob(GetJobRequest(id=job_id), timeout=CALL_DEADLINE_S)).job

    async def children(self, parent_id: str) -> list[Job]:
        """Return the jobs that a job caused."""
        found: list[Job] = []
        request = ListJobsRequest(parent_id=parent_id, page_size=200)
        while True:
            answer = await self._stub.ListJobs(request, timeout=CALL_DEADLINE_S)
            found.extend(answer.jobs)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def first_children(self, parent_id: str) -> list[Job]:
        """Wait until a job has caused others, and return those that there are then."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if found := await self.children(parent_id):
                    return found
                await asyncio.sleep(0.02)

    async def cancel(self, job_id: str) -> None:
        """Ask for a job's end."""
        await self._stub.CancelJob(CancelJobRequest(id=job_id), timeout=CALL_DEADLINE_S)

    async def pause(self, job_id: str) -> None:
        """Hold a job back."""
        await self._stub.PauseJob(PauseJobRequest(id=job_id), timeout=CALL_DEADLINE_S)

    async def resume(self, job_id: str) -> None:
        """Let a paused job go on."""
        await self._stub.ResumeJob(ResumeJobRequest(id=job_id), timeout=CALL_DEADLINE_S)

    async def progressed(self, job_id: str) -> None:
        """Wait until the job's attempt has said how far it is."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self._stub.GetJob(GetJobRequest(id=job_id), timeout=CALL_DEADLINE_S)
                if answer.job.progress_percent:
                    return
                await asyncio.sleep(0.02)

    async def drain(self, worker_id: str, *, grace_s: int) -> None:
        """Give a worker no more leases."""
        request = DrainWorkerRequest(id=worker_id, grace=Duration(seconds=grace_s))
        await self._fleet.DrainWorker(request, timeout=CALL_DEADLINE_S)

    async def undrain(self, worker_id: str) -> None:
        """Let a drained worker work again."""
        await self._fleet.ResumeWorker(ResumeWorkerRequest(id=worker_id), timeout=CALL_DEADLINE_S)

    async def connected(self, count: int) -> list[str]:
        """Wait until so many workers hold a stream, and return who they are."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self._fleet.ListWorkers(ListWorkersRequest(), timeout=CALL_DEADLINE_S)
                names = [worker.id for worker in answer.workers if worker.connected]
                if len(names) == count:
                    return names
                await asyncio.sleep(0.02)

    async def logged(self, job_id: str, text: str) -> None:
        """Wait until a job's log has this text."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in await self.log_of(job_id):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.05)

    async def log_of(self, job_id: str) -> str:
        """Return a job's log."""
        call = self._stub.ReadLog(ReadLogRequest(id=job_id))
        return "".join([response.text async for response in call])

    async def known(self, *types: str) -> None:
        """Wait until the scheduler has heard of *types* from a worker."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self._stub.ListJobTypes(
                        ListJobTypesRequest(internal=True), timeout=CALL_DEADLINE_S
                    )
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                else:
                    if {job_type.name for job_type in answer.types} >= set(types):
                        return
                await asyncio.sleep(0.02)
