"""Calls of one client: each is noted before it is made, and when it came back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.duration_pb2 import Duration

from callsheet.channel import open_channel
from callsheet.errors import StandbyError
from callsheet.v1.fleet_service_pb2 import (
    DrainWorkerRequest,
    PauseQueueRequest,
    ResumeQueueRequest,
    ResumeWorkerRequest,
)
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.job_service_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    PauseJobRequest,
    PrioritizeJobRequest,
    ResumeJobRequest,
    RetryJobRequest,
    SubmitJobsRequest,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.verify.events import Answer, Asked, Invoke, Told
from callsheet.verify.recorder import Recorder
from callsheet.wire_errors import from_rpc_error
from tests.nemesis.tables import state_word

if TYPE_CHECKING:  # the generated stubs have these names, the generated code has not
    from callsheet.v1.fleet_service_pb2_grpc import FleetServiceAsyncStub
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub

CALL_S: Final = 2.0
"""How long a call may take."""
PAUSE_S: Final = 0.05
"""Between two tries of a call."""
STANDBY_TRIES: Final = 20
"""How often a call is made anew that met a scheduler which does not lead."""

#: After one of these nobody knows whether the call took effect.
UNKNOWN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
    }
)

Said = Sequence[tuple[str, int]]
"""Jobs and the states that an answer showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A connection to one address, or to all."""

    channel: grpc.aio.Channel
    jobs: "JobServiceAsyncStub"
    fleet: "FleetServiceAsyncStub"


def _line(target: str) -> Line:
    channel = open_channel(target)
    return Line(channel=channel, jobs=JobServiceStub(channel), fleet=FleetServiceStub(channel))


class Calls:
    """Makes calls. Whoever stands by says who leads, and that one is called next."""

    def __init__(self, name: str, target: str, recorder: Recorder) -> None:
        self._name = name
        self._recorder = recorder
        self._all = self._line = _line(target)
        self._lines: dict[str, Line] = {}
        self._made = 0

    async def close(self) -> None:
        """Hang up."""
        for line in (self._all, *self._lines.values()):
            await line.channel.close()

    async def submit(self, jobs: Sequence[NewJob]) -> str:
        """Submit jobs together; returns the outcome, as every call here."""

        async def send(line: Line) -> Said:
            response = await line.jobs.SubmitJobs(SubmitJobsRequest(jobs=jobs), timeout=CALL_S)
            return [(job.id, job.state) for job in response.jobs]

        return await self._call("submit", [_asked(job) for job in jobs], send)

    async def hold(self, scope: str) -> str:
        """Pause a scope."""

        async def send(line: Line) -> Said:
            await line.fleet.PauseQueue(PauseQueueRequest(scope=scope), timeout=CALL_S)
            return ()

        return await self._call("pause", (), send, scope=scope)

    async def release(self, scope: str) -> str:
        """End the pause of a scope."""

        async def send(line: Line) -> Said:
            await line.fleet.ResumeQueue(ResumeQueueRequest(scope=scope), timeout=CALL_S)
            return ()

        return await self._call("resume", (), send, scope=scope)

    async def drain(self, worker: str, grace_s: int) -> str:
        """Drain a worker."""

        async def send(line: Line) -> Said:
            request = DrainWorkerRequest(id=worker, grace=Duration(seconds=grace_s))
            await line.fleet.DrainWorker(request, timeout=CALL_S)
            return ()

        return await self._call("drain", (), send, scope=worker)

    async def undrain(self, worker: str) -> str:
        """Let a drained worker work again."""

        async def send(line: Line) -> Said:
            await line.fleet.ResumeWorker(ResumeWorkerRequest(id=worker), timeout=CALL_S)
            return ()

        return await self._call("undrain", (), send, scope=worker)

    async def about(self, op: str, job_id: str, *, priority: int = 0) -> str:
        """Cancel, retry, read, pause, resume or prioritize a job."""

        async def send(line: Line) -> Said:
            job = await _send(line.jobs, op, job_id, priority)
            return [(job.id, job.state)]

        return await self._call(op, [Asked(id=job_id)], send)

    async def _call(
        self, op: str, jobs: Sequence[Asked], send: Callable[[Line], Awaitable[Said]], *, scope: str = ""
    ) -> str:
        """Make one call, wherever the leader is, and return its outcome."""
        for _ in range(STANDBY_TRIES):
            self._made += 1
            call = f"{self._name}:{self._made}"
            asked: dict[str, object] = {"call": call, "op": op, "jobs": tuple(jobs), "scope": scope}
            self._recorder.note(Invoke.model_validate(asked | self._recorder.stamp()))
            answer, standby = await self._once(call, send)
            self._recorder.note(answer)
            if standby is None:
                if answer.outcome == "unknown":
                    self._line = self._all
                return answer.outcome
            self._turn_to(standby.leader)
            await asyncio.sleep(0 if standby.leader else PAUSE_S)
        return "unknown"

    async def _once(
        self, call: str, send: Callable[[Line], Awaitable[Said]]
    ) -> tuple[Answer, StandbyError | None]:
        heard: dict[str, object] = {"call": call, "outcome": "ok"}
        standby: StandbyError | None = None
        try:
            said = await send(self._line)
            heard["jobs"] = tuple(Told(id=job_id, state=state_word(state)) for job_id, state in said)
        except grpc.aio.AioRpcError as error:
            cause = from_rpc_error(error)
            standby = cause if isinstance(cause, StandbyError) else None
            unknown = standby is None and error.code() in UNKNOWN
            heard["outcome"] = "unknown" if unknown else "refused"
            heard["reason"] = f"{error.code().name}: {error.details()}"
        return Answer.model_validate(heard | self._recorder.stamp()), standby

    def _turn_to(self, leader: str) -> None:
        if not leader:
            self._line = self._all
            return
        if leader not in self._lines:
            self._lines[leader] = _line(leader)
        self._line = self._lines[leader]


async def _send(stub: "JobServiceAsyncStub", op: str, job_id: str, priority: int) -> Job:
    match op:
        case "cancel":
            return (await stub.CancelJob(CancelJobRequest(id=job_id), timeout=CALL_S)).job
        case "retry":
            return (await stub.RetryJob(RetryJobRequest(id=job_id), timeout=CALL_S)).job
        case "pause":
            return (await stub.PauseJob(PauseJobRequest(id=job_id), timeout=CALL_S)).job
        case "resume":
            return (await stub.ResumeJob(ResumeJobRequest(id=job_id), timeout=CALL_S)).job
        case "prioritize":
            request = PrioritizeJobRequest(id=job_id, priority=priority)
            return (await stub.PrioritizeJob(request, timeout=CALL_S)).job
        case _:
            return (await stub.GetJob(GetJobRequest(id=job_id), timeout=CALL_S)).job


def _asked(job: NewJob) -> Asked:
    return Asked(
        id=job.id,
        type=job.type,
        priority=job.priority,
        max_retries=job.max_retries,
        interactive=job.interactive,
    )
