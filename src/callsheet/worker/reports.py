"""What an attempt may use of the scheduler: its log, its progress, and the library."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

import grpc

from callsheet.errors import LeaseLostError, StateError, UnavailableError
from callsheet.service.clock import Clock
from callsheet.v1.library_service_pb2 import (
    GetItemsRequest,
    Item,
    ItemFacts,
    ListItemsRequest,
    UpsertItemsRequest,
)
from callsheet.wire_errors import from_rpc_error
from callsheet.worker.commands import LeaseKey
from callsheet.worker.lease import Lease
from callsheet.worker.session import BACKOFF_S, Session

if TYPE_CHECKING:  # the generated stubs have this name, the generated code has not
    from callsheet.v1.library_service_pb2_grpc import LibraryServiceAsyncStub

BATCH_ITEMS_MAX: Final = 1000
"""Items, or ids, in one call to the library."""
BATCH_BYTES: Final = 1024 * 1024
"""Bytes of items after which a call takes no more of them."""

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


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
        for start in range(0, len(ids), BATCH_ITEMS_MAX):
            request = GetItemsRequest(ids=ids[start : start + BATCH_ITEMS_MAX])
            answer = await self._ask(self._stub.GetItems, request)
            found.extend(answer.items)
        return found

    async def items_below(self, root: str, folder: str) -> list[Item]:
        """Return all items in *folder* of *root* and below; an empty folder means the whole root."""
        found: list[Item] = []
        request = ListItemsRequest(root=root, folder=folder, page_size=BATCH_ITEMS_MAX)
        while True:
            answer = await self._ask(self._stub.ListItems, request)
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
        for start in range(0, len(missing_ids), BATCH_ITEMS_MAX):
            await self._upsert((), missing_ids[start : start + BATCH_ITEMS_MAX])
        return ids

    async def _upsert(self, items: Iterable[ItemFacts], missing_ids: Iterable[str]) -> list[str]:
        request = UpsertItemsRequest(
            job_id=self._lease.job_id, token=self._lease.token, items=items, missing_ids=missing_ids
        )
        try:
            answer = await self._ask(self._stub.UpsertItems, request)
        except StateError as error:
            raise LeaseLostError(error.message) from error
        return list(answer.ids)

    async def _ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[RequestT, AnswerT], request: RequestT
    ) -> AnswerT:
        return await persistently(method, request, deadline_s=self._deadline_s)


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


def _batches(items: Sequence[ItemFacts]) -> Iterator[list[ItemFacts]]:
    batch: list[ItemFacts] = []
    size_bytes = 0
    for item in items:
        size_bytes += item.ByteSize()
        if batch and (len(batch) == BATCH_ITEMS_MAX or size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], item.ByteSize()
        batch.append(item)
    if batch:
        yield batch
