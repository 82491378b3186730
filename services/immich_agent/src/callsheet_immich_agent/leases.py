"""The stay with the scheduler: queues that shall run ask for leases, and hold them while they run."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.catalog import Category
from callsheet.channel import LeaderChannel
from callsheet.ids import new_job_id
from callsheet.params import JobParams
from callsheet.service.clock import Clock
from callsheet.v1.job_pb2 import FAILURE_KIND_CANCELLED, NewJob, ResourceCategory
from callsheet.v1.job_service_pb2 import CancelJobRequest, JobType, SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.lease_service_pb2 import Completed, Device, Failed, Grant, Hello, Result, Returned
from callsheet.worker.stream.commands import (
    Command,
    HangUp,
    LeaseKey,
    Leave,
    StartAttempts,
    StopAttempt,
    StopReason,
    key_of,
)
from callsheet.worker.stream.session import Session
from callsheet.worker.stream.streams import Streams, instant
from callsheet_immich_agent.policy import Leases

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
"""Seconds between two looks at the clock."""
CALL_DEADLINE_S: Final = 10.0
RUN_LIMIT_S: Final = 7 * 24 * 3600
"""Of a lease; a queue with a long backlog holds it all the while."""
ONLY: Final = "immich"
"""The name of a server that needs none to be told apart."""
ENCODES: Final = "videoConversion"
"""The queue that opens encoder sessions; the others that use the GPU run models."""
_OVER: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})
_SUFFIXES: Final = {Category.CPU: "", Category.GPU_ENCODE: "_encode", Category.GPU_AI: "_ai"}


class ImmichQueueParams(JobParams):
    """Which queue runs."""

    queue: str
    """Its name, as the server has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The GPU that the server's queues use."""

    uuid: str
    memory_mib: int
    vram_mib: Mapping[str, int]
    """What each queue that uses it is charged with."""


class Books:
    """What a server's queues are to the scheduler: job types, and a share of a GPU."""

    def __init__(self, server: str, card: Card | None) -> None:
        self._prefix = "immich_queue" if server == ONLY else f"immich_queue_{server}"
        self._card = card

    def types(self) -> list[JobType]:
        """Return the job types of the queues, named as this server's alone: no other gets its leases."""
        categories = list(Category) if self._card else [Category.CPU]
        return [
            JobType(
                name=self._prefix + _SUFFIXES[category],
                description="Runs a queue of an Immich server; its controller submits such jobs itself.",
                category=ResourceCategory.ValueType(category),
                run_limit_s=RUN_LIMIT_S,
                internal=True,
                params_schema_json=json.dumps(ImmichQueueParams.schema_for_wire()),
            )
            for category in categories
        ]

    def devices(self) -> list[Device]:
        """Return the GPU as a hello names it."""
        card = self._card
        return [Device(uuid=card.uuid, memory_mib=card.memory_mib)] if card else []

    def job(self, queue: str) -> NewJob:
        """Return what asks for a queue's lease. While one lives it is the answer to every other."""
        vram_mib = self._card.vram_mib.get(queue) if self._card else None
        category = Category.CPU
        if vram_mib is not None:
            category = Category.GPU_ENCODE if queue == ENCODES else Category.GPU_AI
        return NewJob(
            id=new_job_id(),
            type=self._prefix + _SUFFIXES[category],
            params_json=ImmichQueueParams(queue=queue).model_dump_json(by_alias=True),
            vram_mib=vram_mib,
            max_retries=0,
            unique_key=f"{self._prefix}:{queue}",
        )


@dataclass(slots=True, kw_only=True)
class _Lease:
    grant: Grant
    began_at: Timestamp
    recalled: StopReason | None = None


class Stay:
    """The leases of one server's queues."""

    def __init__(self, hello: Hello, books: Books, channel: LeaderChannel, clock: Clock) -> None:
        """Begin apart.

        The identity of *hello* has to be new. What an earlier process held stays charged then until it is
        proven to have ended, as it has to: the queues of one that was killed run on.
        """
        self.session = Session(hello, now=clock.monotonic())
        self.changed = asyncio.Event()
        """Set when a lease came or was recalled."""
        self._books = books
        self._clock = clock
        self._jobs = JobServiceStub(channel)
        self._streams = Streams(self.session, channel, clock, self._obey)
        self._left = asyncio.Event()
        self._admitted = asyncio.Event()
        self._held: dict[str, _Lease] = {}
        self._asked: dict[str, str] = {}

    @property
    def leases(self) -> Leases:
        """What is held and asked for."""
        return Leases(
            held=frozenset(name for name, lease in self._held.items() if lease.recalled is None),
            recalled=frozenset(name for name, lease in self._held.items() if lease.recalled is not None),
            asked=frozenset(self._asked),
        )

    async def run(self) -> None:
        """Keep the stream and the leases; returns when it has left."""
        work = self._keep_stream(), self._keep_time(), self._keep_until_told()
        parts = [asyncio.create_task(part) for part in work]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    def admit(self) -> None:
        """Let the stream begin: whoever only stands by takes no leases that another has asked for."""
        self._admitted.set()

    async def _keep_stream(self) -> None:
        await self._admitted.wait()
        await self._streams.keep()

    async def _keep_until_told(self) -> None:
        await self._left.wait()

    def resize(self, slots: int) -> None:
        """Hold so many leases at most; at least one, since none is no worker."""
        for command in self.session.resized(max(1, slots)):
            self._obey(command, instant(self._clock))

    async def leave(self) -> None:
        """Withdraw what is asked, give back what is held, and begin to leave the scheduler."""
        await self.ask(())
        self.end(list(self._held))
        self.session.drain(self._clock.monotonic(), grace_s=0.0)
        self._streams.wake()

    async def ask(self, queues: Iterable[str]) -> None:
        """Have these queues, and no others, ask for leases. What cannot be done is told, and done next time.

        Each asks anew every time, since somebody may have cancelled its job; one that lives is the answer.
        """
        wanted = [name for name in queues if name not in self._held]
        if not self.session.connected:
            return
        try:
            for name in [name for name in self._asked if name not in wanted]:
                await self._withdraw(name)
            if wanted:
                jobs = SubmitJobsRequest(jobs=[self._books.job(name) for name in wanted])
                answer = await self._jobs.SubmitJobs(jobs, timeout=CALL_DEADLINE_S)
                accepted = zip(wanted, (job.id for job in answer.jobs), strict=True)
                self._asked |= {name: job for name, job in accepted if name not in self._held}
        except grpc.aio.AioRpcError as error:
            log.warning("leases could not be asked for: %s", error.details())

    async def _withdraw(self, name: str) -> None:
        try:
            await self._jobs.CancelJob(CancelJobRequest(id=self._asked[name]), timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _OVER:
                raise
        self._asked.pop(name, None)

    def end(self, queues: Iterable[str]) -> None:
        """Give back the leases of queues that are paused and idle."""
        for name in queues:
            lease = self._held.pop(name)
            log.info("gives back its lease: %s", name)
            self.session.attempt_ended(key_of(lease.grant.lease), _result(lease, instant(self._clock)))
        self._streams.wake()

    async def _keep_time(self) -> None:
        while True:
            for command in self.session.tick(self._clock.monotonic()):
                self._obey(command, instant(self._clock))
            self._streams.wake()
            await asyncio.sleep(TICK_S)

    def _obey(self, command: Command, at: Timestamp) -> None:
        match command:
            case StartAttempts():
                for grant in command.grants:
                    self._begin(grant, at)
            case StopAttempt():
                self._recall(command.key, command.reason)
            case HangUp():
                self._streams.hang_up(command)
            case Leave():
                self._left.set()
            case _:
                pass

    def _begin(self, grant: Grant, at: Timestamp) -> None:
        name = ImmichQueueParams.model_validate_json(grant.params_json).queue
        before = self._held.pop(name, None)
        if before is not None:  # the queue goes on under the newer lease
            self.session.attempt_ended(key_of(before.grant.lease), None)
        self._asked.pop(name, None)
        self._held[name] = _Lease(grant=grant, began_at=at)
        log.info("has a lease: %s", name)
        self.changed.set()

    def _recall(self, key: LeaseKey, reason: StopReason) -> None:
        for lease in self._held.values():
            if key_of(lease.grant.lease) == key:
                lease.recalled = reason
                self.changed.set()


def _result(lease: _Lease, at: Timestamp) -> Result:
    """Return how the attempt of a lease ended."""
    result = Result(lease=lease.grant.lease, started_at=lease.began_at, ended_at=at)
    match lease.recalled:
        case None:
            result.completed.CopyFrom(Completed(result_json="{}"))
        case StopReason.CANCELLED:
            result.failed.CopyFrom(Failed(kind=FAILURE_KIND_CANCELLED, reason="Cancelled on request"))
        case _:
            result.returned.CopyFrom(Returned(reason="The lease was recalled"))
    return result
