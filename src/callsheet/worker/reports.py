"""What an attempt may use of the scheduler: its log, its progress, the library and the queue."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import Message

from callsheet.errors import LeaseLostError, OverloadedError, StateError, UnavailableError
from callsheet.ids import new_job_id
from callsheet.service.clock import Clock
from callsheet.v1.fleet_service_pb2 import ListWorkersRequest
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import ListChildrenRequest, ListJobsRequest, SubmitJobsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2 import (
    GetItemsRequest,
    Item,
    ItemFacts,
    ItemInHand,
    ListItemsRequest,
    UpsertItemsRequest,
)
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.wire_errors import from_rpc_error
from callsheet.worker.lease import Lease
from callsheet.worker.stream.backoff import BACKOFF_S
from callsheet.worker.stream.commands import LeaseKey
from callsheet.worker.stream.session import Session

if TYPE_CHECKING:  # the generated stubs have this name, the generated code has not
    from callsheet.v1.fleet_service_pb2_grpc import FleetServiceAsyncStub
    from callsheet.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from callsheet.v1.library_service_pb2_grpc import LibraryServiceAsyncStub

BATCH_MAX: Final = 1000
"""Items, ids or jobs in one call."""
BATCH_BYTES: Final = 1024 * 1024
"""Bytes of items or jobs after which a call takes no more of them."""
PAGE_JOBS: Final = 200
"""Jobs of one page of a list."""

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
MessageT = TypeVar("MessageT", bound=Message)

_UNFINISHED: Final = (
    JobState.JOB_STATE_PENDING,
    JobState.JOB_STATE_QUEUED,
    JobState.JOB_STATE_RUNNING,
    JobState.JOB_STATE_PAUSED,
)


class SessionReporter:
    """What one attempt says, into the worker's session."""

    __slots__ = ("_clock", "_key", "_session", "_wake")

    def __init__(self, session: Session, key: LeaseKey, clock: Clock, wake: Callable[[], None]) -> None:
        self._session = session
        self._key = key
        self._clock = clock
        self._wake = wake

    def log(self, text: str) -> None:
        """Add lines to the job's log; each is stamped with the instant."""
        if self._session.attempt_logged(self._key, text.rstrip("\n"), self._stamp()):
            self._wake()

    def close(self, text: str) -> None:
        """Add the last lines, however full the log is."""
        self._session.attempt_closed(self._key, text, self._stamp())

    def progress(self, percent: int) -> None:
        """Say how far the attempt is, 0 to 100; going back has no effect."""
        self._session.attempt_progressed(self._key, percent)

    def _stamp(self) -> str:
        return self._clock.now().strftime("[%Y-%m-%d %H:%M:%S] ")


class RemoteLibrary:
    """The library over LibraryService, under one lease.

    While no scheduler answers, calls are repeated: an attempt survives a scheduler's restart. The
    attempt's own end bounds that.
    """

    __slots__ = ("_deadline_s", "_lease", "_stub")

    def __init__(self, stub: "LibraryServiceAsyncStub", lease: Lease, *, deadline_s: float) -> None:
        self._stub = stub
        self._lease = lease
        self._deadline_s = deadline_s

    async def items(self, ids: Sequence[str]) -> list[Item]:
        """Return those of the items that exist, in no particular order."""
        found: list[Item] = []
        for start in range(0, len(ids), BATCH_MAX):
            request = GetItemsRequest(ids=ids[start : start + BATCH_MAX])
            answer = await persistently(self._stub.GetItems, request, deadline_s=self._deadline_s)
            found.extend(answer.items)
        return found

    async def items_below(self, root: str, folder: str) -> list[Item]:
        """Return all items in *folder* of *root* and below; an empty folder means the whole root."""
        found: list[Item] = []
        request = ListItemsRequest(root=root, folder=folder, page_size=BATCH_MAX)
        while True:
            answer = await persistently(self._stub.ListItems, request, deadline_s=self._deadline_s)
            found.extend(answer.items)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        """Write items under the job's lease and return their ids in order.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing more was written.
        """
        ids: list[str] = []
        for batch in _batches(items):
            ids += await self._upsert(batch, ())
        for start in range(0, len(missing_ids), BATCH_MAX):
            await self._upsert((), missing_ids[start : start + BATCH_MAX])
        return ids

    async def fence(self) -> None:
        """Ask for nothing but whether the lease is the job's newest.

        Raises:
            LeaseLostError: It is not.
        """
        await self._upsert((), ())

    async def take_in_hand(self, item: Item) -> None:
        """Say which item the attempt touches next.

        Raises:
            LeaseLostError: Another lease holds the job now.
        """
        await self._upsert((), (), in_hand=ItemInHand(item_id=item.id, source_identity=item.facts.identity))

    async def move(self, item_id: str, facts: ItemFacts) -> None:
        """Let an item go on at another place: one request says that it is gone, and where its content is.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing was written.
        """
        await self._upsert([facts], [item_id])

    async def forget_derivatives(self, ids: Sequence[str]) -> None:
        """Drop the rows of derivatives of missing items among these, and those of content that has passed.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing more was dropped.
        """
        for start in range(0, len(ids), BATCH_MAX):
            await self._upsert((), (), ids[start : start + BATCH_MAX])

    async def _upsert(
        self,
        items: Iterable[ItemFacts],
        missing_ids: Iterable[str],
        forget_ids: Iterable[str] = (),
        in_hand: ItemInHand | None = None,
    ) -> list[str]:
        request = UpsertItemsRequest(
            job_id=self._lease.job_id,
            token=self._lease.token,
            items=items,
            missing_ids=missing_ids,
            forget_ids=forget_ids,
            in_hand=in_hand,
        )
        try:
            answer = await persistently(self._stub.UpsertItems, request, deadline_s=self._deadline_s)
        except StateError as error:
            raise LeaseLostError(error.message) from error
        return list(answer.ids)


class RemoteQueue:
    """The queue over JobService, for what one attempt causes. Calls are repeated as the library's are."""

    __slots__ = ("_deadline_s", "_fleet", "_lease", "_stub", "_worker_id")

    def __init__(
        self,
        stub: "JobServiceAsyncStub",
        fleet: "FleetServiceAsyncStub",
        lease: Lease,
        *,
        worker_id: str,
        deadline_s: float,
    ) -> None:
        self._stub = stub
        self._fleet = fleet
        self._lease = lease
        self._worker_id = worker_id
        self._deadline_s = deadline_s

    async def submit(self, jobs: Sequence[NewJob]) -> None:
        """Submit jobs as caused by the attempt's own; an id chosen beforehand makes a repetition harmless."""
        named = [NewJob() for _ in jobs]
        for new, given in zip(named, jobs, strict=True):
            new.CopyFrom(given)
            new.id = given.id or new_job_id()
            new.parent_id = self._lease.job_id
        for batch in _batches(named):
            await self._submit(SubmitJobsRequest(jobs=batch))

    async def children(self) -> list[Job]:
        """Return the jobs that this one has yielded to, in the order in which it gave them."""
        found: list[Job] = []
        request = ListChildrenRequest(id=self._lease.job_id)
        while True:
            answer = await persistently(self._stub.ListChildren, request, deadline_s=self._deadline_s)
            found.extend(answer.jobs)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def unfinished(self, job_type: str) -> list[Job]:
        """Return the jobs of a type that are not final, whoever caused them."""
        found: list[Job] = []
        request = ListJobsRequest(types=[job_type], states=_UNFINISHED, page_size=PAGE_JOBS)
        while True:
            answer = await persistently(self._stub.ListJobs, request, deadline_s=self._deadline_s)
            found.extend(answer.jobs)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def helpers(self, job_type: str, roots: Collection[str]) -> int:
        """Return how many other workers with a free slot take jobs of a type and reach the roots."""
        request = ListWorkersRequest()
        answer = await persistently(self._fleet.ListWorkers, request, deadline_s=self._deadline_s)
        able = [one for one in answer.workers if job_type in one.types and set(roots) <= set(one.roots)]
        taking = [one for one in able if one.connected and not (one.draining or one.leaving)]
        return sum(one.id != self._worker_id and one.leases < one.slots for one in taking)

    async def _submit(self, request: SubmitJobsRequest) -> None:
        while True:
            try:
                await persistently(self._stub.SubmitJobs, request, deadline_s=self._deadline_s)
            except OverloadedError as error:
                await asyncio.sleep(error.retry_after_s)
            else:
                return


class Remote:
    """The scheduler's services as the attempts of one worker use them."""

    __slots__ = ("_deadline_s", "_fleet", "_worker_id", "items", "jobs")

    def __init__(self, channel: grpc.aio.Channel, worker_id: str, deadline_s: float) -> None:
        self._fleet = FleetServiceStub(channel)
        self._worker_id = worker_id
        self._deadline_s = deadline_s
        self.items = LibraryServiceStub(channel)
        self.jobs = JobServiceStub(channel)

    def library(self, lease: Lease) -> RemoteLibrary:
        """Return the library under a lease."""
        return RemoteLibrary(self.items, lease, deadline_s=self._deadline_s)

    def queue(self, lease: Lease) -> RemoteQueue:
        """Return the queue as one attempt uses it."""
        return RemoteQueue(
            self.jobs, self._fleet, lease, worker_id=self._worker_id, deadline_s=self._deadline_s
        )


async def persistently(
    method: grpc.aio.UnaryUnaryMultiCallable[RequestT, AnswerT], request: RequestT, *, deadline_s: float
) -> AnswerT:
    """Call until a scheduler answers, each time for at most *deadline_s*.

    Raises:
        CallsheetError: What it answers is a refusal.
    """
    wait_s, longest_s = BACKOFF_S
    chance = SystemRandom()
    while True:
        try:
            return await method(request, timeout=deadline_s)
        except grpc.aio.AioRpcError as cause:
            error = from_rpc_error(cause)
            if not isinstance(error, UnavailableError):
                raise error from cause
        await asyncio.sleep(wait_s * chance.uniform(0.5, 1.0))
        wait_s = min(wait_s * 2, longest_s)


def _batches(messages: Sequence[MessageT]) -> Iterator[list[MessageT]]:
    batch: list[MessageT] = []
    size_bytes = 0
    for message in messages:
        size_bytes += message.ByteSize()
        if batch and (len(batch) == BATCH_MAX or size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], message.ByteSize()
        batch.append(message)
    if batch:
        yield batch
