"""What the client asks of jobs, scopes of the queue and workers."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from callsheet.client.wire import Wire
from callsheet.errors import NotFoundError
from callsheet.v1.fleet_service_pb2 import (
    DeviceAccount,
    DrainWorkerRequest,
    LimitQueueRequest,
    ListDevicesRequest,
    ListQueuesRequest,
    ListWorkersRequest,
    ListWorkersResponse,
    PauseQueueRequest,
    Queue,
    ResumeQueueRequest,
    ResumeWorkerRequest,
    Worker,
)
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.job_service_pb2 import (
    ActOnJobsRequest,
    ActOnJobsResponse,
    CancelJobRequest,
    CancelJobResponse,
    GetJobRequest,
    JobAction,
    PauseJobRequest,
    PrioritizeJobRequest,
    ResumeJobRequest,
    ResumeJobResponse,
    RetryJobRequest,
    RetryJobResponse,
)

FINAL: Final = frozenset(
    {JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
)
"""The states in which nothing more happens by itself."""

#: Jobs of one call that acts on many.
ACTION_MAX: Final = 1_000

_WAITING: Final = (JobState.JOB_STATE_PENDING, JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING)

ACTED_ON: Final[dict[JobAction.ValueType, tuple[JobState.ValueType, ...]]] = {
    JobAction.JOB_ACTION_CANCEL: (*_WAITING, JobState.JOB_STATE_PAUSED),
    JobAction.JOB_ACTION_RETRY: (JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED),
    JobAction.JOB_ACTION_PAUSE: _WAITING,
    JobAction.JOB_ACTION_RESUME: (JobState.JOB_STATE_PAUSED,),
    JobAction.JOB_ACTION_PRIORITIZE: (*_WAITING, JobState.JOB_STATE_PAUSED),
}
"""The states that an action is meant for: a filter that names none chooses among these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A new limit of a scope."""

    jobs: int | None
    """At once; None lifts the limit."""


class Steering(Wire):
    """Changes what happens. Every method is safe to repeat."""

    # Jobs

    async def cancel(self, job_id: str, *, requested_by: str = "") -> Job:
        """End a job and return it: CANCELLED, or with ``cancel_requested_at`` until its worker confirms."""

        async def already() -> CancelJobResponse | None:
            job = await self._look(job_id)
            return CancelJobResponse(job=job) if _is_cancelled(job) else None

        request = CancelJobRequest(id=job_id, requested_by=requested_by)
        return (await self._repeating.call(self._jobs.CancelJob, request, when_repeated=already)).job

    async def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job back into the queue and return it."""

        async def already() -> RetryJobResponse | None:
            job = await self._look(job_id)
            return RetryJobResponse(job=job) if _is_retried(job) else None

        request = RetryJobRequest(id=job_id)
        return (await self._repeating.call(self._jobs.RetryJob, request, when_repeated=already)).job

    async def pause(self, job_id: str) -> Job:
        """Hold a job back and return it: PAUSED, or with ``pause_requested_at`` until its worker confirms."""
        return (await self._repeating.call(self._jobs.PauseJob, PauseJobRequest(id=job_id))).job

    async def resume(self, job_id: str) -> Job:
        """Let a paused job wait for its turn again, or call its pause off, and return it."""

        async def already() -> ResumeJobResponse | None:
            job = await self._look(job_id)
            return ResumeJobResponse(job=job) if _is_resumed(job) else None

        request = ResumeJobRequest(id=job_id)
        return (await self._repeating.call(self._jobs.ResumeJob, request, when_repeated=already)).job

    async def prioritize(self, job_id: str, priority: int) -> Job:
        """Make a job more or less urgent, 1 (most urgent) to 10, and return it."""
        request = PrioritizeJobRequest(id=job_id, priority=priority)
        return (await self._repeating.call(self._jobs.PrioritizeJob, request)).job

    async def act_once(self, wanted: ActOnJobsRequest) -> ActOnJobsResponse:
        """Do one thing to at most 1,000 jobs: the named ones, or the next that pass the filter.

        A filter that names no states chooses among those of `ACTED_ON`. Where an answer was lost, jobs that
        the lost try had acted on count as done, unless the filter passes them no longer.
        """
        request = ActOnJobsRequest()
        request.CopyFrom(wanted)
        if request.HasField("filter") and not request.filter.states:
            request.filter.states.extend(ACTED_ON.get(request.action, ()))

        async def as_they_are(answer: ActOnJobsResponse) -> ActOnJobsResponse:
            return await self._as_they_are(request, answer)

        return await self._repeating.call(self._jobs.ActOnJobs, request, after_repetition=as_they_are)

    async def act(self, wanted: ActOnJobsRequest) -> AsyncGenerator[ActOnJobsResponse, None]:
        """Do one thing to all named jobs, or to all that pass the filter, and yield what became of them."""
        for request in _calls(wanted):
            while True:
                answer = await self.act_once(request)
                yield answer
                if not answer.next_page_token:
                    break
                request.page_token = answer.next_page_token

    # Scopes of the queue

    async def queues(self) -> Sequence[Queue]:
        """Return every scope: ``all``, the categories, the job types by name."""
        return (await self._repeating.call(self._fleet.ListQueues, ListQueuesRequest())).queues

    async def pause_queue(self, scope: str, *, requested_by: str = "") -> Queue:
        """Give no more leases to jobs of a scope, and return it. What runs goes on."""
        request = PauseQueueRequest(scope=scope, requested_by=requested_by)
        return (await self._repeating.call(self._fleet.PauseQueue, request)).queue

    async def resume_queue(self, scope: str) -> Queue:
        """End the pause of a scope and return it."""
        request = ResumeQueueRequest(scope=scope)
        return (await self._repeating.call(self._fleet.ResumeQueue, request)).queue

    async def limit_queue(
        self, scope: str, *, host: Limit | None = None, fleet: Limit | None = None
    ) -> Queue:
        """Change how many jobs of a scope may run at once, and return it.

        Args:
            scope: Which.
            host: On one host; None leaves that limit as it is.
            fleet: On all hosts together; None leaves that limit as it is.
        """
        request = LimitQueueRequest(
            scope=scope,
            host_limit=host.jobs if host else None,
            fleet_limit=fleet.jobs if fleet else None,
            clear_host_limit=host is not None and host.jobs is None,
            clear_fleet_limit=fleet is not None and fleet.jobs is None,
        )
        return (await self._repeating.call(self._fleet.LimitQueue, request)).queue

    # Workers

    async def fleet(self) -> ListWorkersResponse:
        """Return the workers by identity, and the limits per host."""
        return await self._repeating.call(self._fleet.ListWorkers, ListWorkersRequest())

    async def devices(self, *, history_minutes: int = 0) -> Sequence[DeviceAccount]:
        """Return the accounts of the GPUs, by host and number, and how they stood in the last minutes."""
        request = ListDevicesRequest(history_minutes=history_minutes)
        return (await self._repeating.call(self._fleet.ListDevices, request)).devices

    async def drain_worker(
        self, worker_id: str, *, grace: timedelta | None = None, requested_by: str = ""
    ) -> Worker:
        """Give a worker no more leases, and return it.

        Args:
            worker_id: Which.
            grace: How long its attempts may go on before they are handed back; None: as long as they take.
            requested_by: Who asked.
        """
        request = DrainWorkerRequest(id=worker_id, requested_by=requested_by)
        if grace is not None:
            request.grace.CopyFrom(_duration(grace))
        return (await self._repeating.call(self._fleet.DrainWorker, request)).worker

    async def resume_worker(self, worker_id: str) -> Worker:
        """Let a drained worker work again, and return it."""
        request = ResumeWorkerRequest(id=worker_id)
        return (await self._repeating.call(self._fleet.ResumeWorker, request)).worker

    async def _look(self, job_id: str) -> Job:
        return (await self._repeating.call(self._jobs.GetJob, GetJobRequest(id=job_id))).job

    async def _as_they_are(self, request: ActOnJobsRequest, answer: ActOnJobsResponse) -> ActOnJobsResponse:
        """Return *answer* with those done that an earlier try had acted on: it refuses them now."""
        is_done = _IS_DONE.get(request.action)
        if is_done is None:
            return answer
        told = ActOnJobsResponse(done_ids=answer.done_ids, next_page_token=answer.next_page_token)
        for one in answer.refused:
            with suppress(NotFoundError):
                if is_done(await self._look(one.id)):
                    told.done_ids.append(one.id)
                    continue
            told.refused.append(one)
        return told


def _is_cancelled(job: Job) -> bool:
    return job.state == JobState.JOB_STATE_CANCELLED


def _is_retried(job: Job) -> bool:
    return job.state not in FINAL


def _is_resumed(job: Job) -> bool:
    held = {JobState.JOB_STATE_PAUSED, JobState.JOB_STATE_CANCELLED}
    return job.state not in held and not job.HasField("pause_requested_at")


#: What is refused when it was done before, and how to tell. Other actions can be done again.
_IS_DONE: Final[dict[JobAction.ValueType, Callable[[Job], bool]]] = {
    JobAction.JOB_ACTION_CANCEL: _is_cancelled,
    JobAction.JOB_ACTION_RETRY: _is_retried,
    JobAction.JOB_ACTION_RESUME: _is_resumed,
}


def _calls(wanted: ActOnJobsRequest) -> Iterator[ActOnJobsRequest]:
    """Divide named jobs into as many calls as it takes; a filter is one call, to go on with."""
    ids = list(wanted.ids)
    for start in range(0, max(1, len(ids)), ACTION_MAX):
        request = ActOnJobsRequest()
        request.CopyFrom(wanted)
        request.ids[:] = ids[start : start + ACTION_MAX]
        yield request


def _duration(length: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(length)
    return message
