"""JobService: translate in, call, translate out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.errors import InvalidError
from callsheet.v1 import job_pb2
from callsheet.v1.job_service_pb2 import (
    ActOnJobsRequest,
    ActOnJobsResponse,
    CancelJobRequest,
    CancelJobResponse,
    ChangeJobTypeRequest,
    ChangeJobTypeResponse,
    GetJobRequest,
    GetJobResponse,
    GetStatsRequest,
    GetStatsResponse,
    HourCount,
    HourWait,
    ListChildrenRequest,
    ListChildrenResponse,
    ListHoursRequest,
    ListHoursResponse,
    ListJobsRequest,
    ListJobsResponse,
    ListJobTypesRequest,
    ListJobTypesResponse,
    PauseJobRequest,
    PauseJobResponse,
    PrioritizeJobRequest,
    PrioritizeJobResponse,
    ReadLogRequest,
    ReadLogResponse,
    RefusedAction,
    ResumeJobRequest,
    ResumeJobResponse,
    RetryJobRequest,
    RetryJobResponse,
    StateCount,
    SubmitJobsRequest,
    SubmitJobsResponse,
    WatchJobsRequest,
    WatchJobsResponse,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceServicer
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.rpc.convert import (
    instant_to_wire,
    job_id_from_wire,
    job_to_wire,
    new_needs_from_wire,
    stamp,
    submission_from_wire,
    type_view_to_wire,
)
from callsheet_scheduler.rpc.filters import (
    action_from_wire,
    check_bulk_filter,
    filter_from_wire,
    parent_id_from_wire,
)
from callsheet_scheduler.store.paging import fitting
from callsheet_scheduler.use_cases.actions import BULK_MAX, Actions
from callsheet_scheduler.use_cases.job_logs import JobLogs
from callsheet_scheduler.use_cases.jobs import Jobs
from callsheet_scheduler.use_cases.type_changes import TypeChanges
from callsheet_scheduler.use_cases.views import Views
from callsheet_scheduler.use_cases.watching import Watching

Context = grpc.aio.ServicerContext[Message, Message]

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 200
SKIP_MAX: Final = 10_000
WATCHED_MAX: Final = 1000

#: Jobs of a watch that are read in one go.
WATCHED_AT_ONCE: Final = 100

#: Characters of a name that is kept of who asked.
NAME_MAX: Final = 64


class JobService(JobServiceServicer):
    """The queue as its clients see it."""

    def __init__(
        self,
        jobs: Jobs,
        actions: Actions,
        views: Views,
        logs: JobLogs,
        watching: Watching,
        types: TypeChanges,
    ) -> None:
        self._jobs = jobs
        self._actions = actions
        self._views = views
        self._logs = logs
        self._watching = watching
        self._types = types

    @override
    async def SubmitJobs(self, request: SubmitJobsRequest, context: Context) -> SubmitJobsResponse:
        response = SubmitJobsResponse()
        for job in await self._jobs.submit([submission_from_wire(job) for job in request.jobs]):
            answer = response.jobs.add()
            answer.id = job.id
            answer.state = job_pb2.JobState.ValueType(job.state)
            stamp(answer.created_at, job.created_at)
            if job.existed:
                answer.existed = True
        return response

    @override
    async def GetJob(self, request: GetJobRequest, context: Context) -> GetJobResponse:
        return GetJobResponse(job=job_to_wire(await self._views.job(job_id_from_wire(request.id))))

    @override
    async def ListJobs(self, request: ListJobsRequest, context: Context) -> ListJobsResponse:
        size = request.page_size or PAGE_DEFAULT
        if size > PAGE_MAX:
            message = f"at most {PAGE_MAX} jobs fit a page"
            raise InvalidError(message, field="page_size")
        if request.skip > SKIP_MAX:
            message = f"at most {SKIP_MAX} jobs can be passed over; use page_token for deep lists"
            raise InvalidError(message, field="skip")
        page = await self._views.page(
            filter_from_wire(request),
            size=size,
            after=request.page_token,
            skip=request.skip,
        )
        return ListJobsResponse(
            jobs=[job_to_wire(view) for view in page.jobs],
            next_page_token=page.next_token,
            total=page.total,
            total_is_exact=page.total_is_exact,
        )

    @override
    async def ListChildren(self, request: ListChildrenRequest, context: Context) -> ListChildrenResponse:
        size = request.page_size or PAGE_MAX
        if size > PAGE_MAX:
            message = f"at most {PAGE_MAX} jobs fit a page"
            raise InvalidError(message, field="page_size")
        children, next_token = await self._views.children(
            job_id_from_wire(request.id), size=size, after=request.page_token
        )
        return ListChildrenResponse(jobs=[job_to_wire(view) for view in children], next_page_token=next_token)

    @override
    async def CancelJob(self, request: CancelJobRequest, context: Context) -> CancelJobResponse:
        job_id = job_id_from_wire(request.id)
        await self._actions.cancel(job_id, by=request.requested_by[:NAME_MAX])
        return CancelJobResponse(job=job_to_wire(await self._views.job(job_id)))

    @override
    async def RetryJob(self, request: RetryJobRequest, context: Context) -> RetryJobResponse:
        job_id = job_id_from_wire(request.id)
        await self._actions.retry(job_id)
        return RetryJobResponse(job=job_to_wire(await self._views.job(job_id)))

    @override
    async def PauseJob(self, request: PauseJobRequest, context: Context) -> PauseJobResponse:
        job_id = job_id_from_wire(request.id)
        await self._actions.pause(job_id)
        return PauseJobResponse(job=job_to_wire(await self._views.job(job_id)))

    @override
    async def ResumeJob(self, request: ResumeJobRequest, context: Context) -> ResumeJobResponse:
        job_id = job_id_from_wire(request.id)
        await self._actions.resume(job_id)
        return ResumeJobResponse(job=job_to_wire(await self._views.job(job_id)))

    @override
    async def PrioritizeJob(self, request: PrioritizeJobRequest, context: Context) -> PrioritizeJobResponse:
        job_id = job_id_from_wire(request.id)
        await self._actions.prioritize(job_id, request.priority)
        return PrioritizeJobResponse(job=job_to_wire(await self._views.job(job_id)))

    @override
    async def ActOnJobs(self, request: ActOnJobsRequest, context: Context) -> ActOnJobsResponse:
        action = action_from_wire(request.action)
        ids, next_token = [job_id_from_wire(text) for text in request.ids], ""
        if not ids:
            check_bulk_filter(request)
            found = await self._views.ids(
                filter_from_wire(request.filter), size=BULK_MAX, after=request.page_token
            )
            ids, next_token = found.ids, found.next_token
        acted = await self._actions.act(
            action, ids, by=request.requested_by[:NAME_MAX], priority=request.priority
        )
        return ActOnJobsResponse(
            done_ids=acted.done,
            refused=[RefusedAction(id=job_id, reason=reason) for job_id, reason in acted.refused],
            next_page_token=next_token,
        )

    @override
    async def WatchJobs(
        self,
        request: WatchJobsRequest,
        context: Context,
    ) -> AsyncIterator[WatchJobsResponse]:
        if len(request.ids) > WATCHED_MAX:
            message = f"at most {WATCHED_MAX} jobs can be named; name none to watch all"
            raise InvalidError(message, field="ids")
        ids = [job_id_from_wire(text) for text in request.ids]
        watch = self._watching.open(frozenset(ids), parent_id_from_wire(request.parent_id))
        try:
            # From here on no change is missed: whoever waits for the header may look at the jobs himself.
            await context.send_initial_metadata(())
            if request.initial and ids:
                async for told in self._told(ids):
                    yield told
            async for changed in watch.rounds():
                async for told in self._told(changed):
                    yield told
        finally:
            self._watching.close(watch)

    async def _told(self, ids: Sequence[JobId]) -> AsyncIterator[WatchJobsResponse]:
        """Yield those of *ids* that exist, in messages that fit."""
        for start in range(0, len(ids), WATCHED_AT_ONCE):
            views = await self._views.jobs(ids[start : start + WATCHED_AT_ONCE])
            jobs = [job_to_wire(view) for view in views]
            while jobs:
                told = fitting(jobs, job_pb2.Job.ByteSize)
                yield WatchJobsResponse(jobs=told)
                del jobs[: len(told)]

    @override
    async def ReadLog(self, request: ReadLogRequest, context: Context) -> AsyncIterator[ReadLogResponse]:
        pieces = self._logs.read(job_id_from_wire(request.id), follow=request.follow)
        async with aclosing(pieces):
            async for text in pieces:
                yield ReadLogResponse(text=text)

    @override
    async def GetStats(self, request: GetStatsRequest, context: Context) -> GetStatsResponse:
        stats = await self._views.stats()
        return GetStatsResponse(
            states=[
                StateCount(
                    state=job_pb2.JobState.ValueType(state),
                    category=job_pb2.ResourceCategory.ValueType(category),
                    count=count,
                )
                for (state, category), count in sorted(stats.states.items())
            ],
            vram_allocated_mib=stats.vram_allocated_mib,
            vram_capacity_mib=stats.vram_capacity_mib,
            mean_run_s=stats.mean_run_s,
            created_by_type=stats.created_by_type,
            completed_last_hour=stats.completed_last_hour,
        )

    @override
    async def ListHours(self, request: ListHoursRequest, context: Context) -> ListHoursResponse:
        hours = await self._views.hours(request.hours)
        return ListHoursResponse(
            counts=[
                HourCount(
                    hour=instant_to_wire(row.hour),
                    state=job_pb2.JobState.ValueType(row.state),
                    type=row.type,
                    jobs=row.jobs,
                    run_s=row.run_s,
                )
                for row in hours.counts
            ],
            waits=[
                HourWait(
                    hour=instant_to_wire(one.key.hour),
                    type=one.key.type,
                    category=job_pb2.ResourceCategory.ValueType(one.key.category),
                    jobs=one.jobs,
                    wait_s=one.wait_s,
                    longest_wait_s=one.longest_wait_s,
                )
                for one in hours.waits
            ],
            first_hour=instant_to_wire(hours.first),
            last_hour=instant_to_wire(hours.last),
        )

    @override
    async def ListJobTypes(self, request: ListJobTypesRequest, context: Context) -> ListJobTypesResponse:
        views = self._types.all(internal=request.internal)
        return ListJobTypesResponse(types=[type_view_to_wire(view, runs=request.runs) for view in views])

    @override
    async def ChangeJobType(self, request: ChangeJobTypeRequest, context: Context) -> ChangeJobTypeResponse:
        view = await self._types.change(
            request.type, new_needs_from_wire(request), by=request.requested_by[:NAME_MAX]
        )
        return ChangeJobTypeResponse(type=type_view_to_wire(view))
