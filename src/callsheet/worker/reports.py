"""What an attempt may use of the scheduler: its log, its progress, and the library."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import grpc

from callsheet.service.clock import Clock
from callsheet.v1.library_service_pb2 import (
    GetItemsRequest,
    Item,
    ItemFacts,
    ListItemsRequest,
    UpsertItemsRequest,
)
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.wire_errors import from_rpc_error
from callsheet.worker.context import Lease
from callsheet.worker.session import Session

#: Characters of one piece of log.
CHUNK_MAX: Final = 16 * 1024

#: Seconds that one call to the library may take.
CALL_DEADLINE_S: Final = 30.0

PAGE: Final = 1000


class SessionReporter:
    """Reports of one attempt, into the worker's session."""

    def __init__(
        self, session: Session, lease: tuple[str, int], clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._session = session
        self._lease = lease
        self._clock = clock
        self._wake = wake
        self._percent = 0

    def log(self, text: str) -> None:
        """Add lines to the job's log."""
        stamped = stamped_lines(text, self._clock.now())
        for start in range(0, len(stamped), CHUNK_MAX):
            self._session.logged(self._lease, stamped[start : start + CHUNK_MAX])
        self._wake()

    def progress(self, percent: int) -> None:
        """Say how far the attempt is."""
        bounded = min(max(percent, 0), 100)
        if bounded > self._percent:
            self._percent = bounded
            self._session.progressed(self._lease, bounded)
            self._wake()


def stamped_lines(text: str, at: datetime) -> str:
    """Return *text* with every line stamped and complete."""
    stamp = at.strftime("[%Y-%m-%d %H:%M:%S] ")
    return "".join(f"{stamp}{line}\n" for line in text.splitlines())


class RemoteLibrary:
    """The library over LibraryService, under one lease."""

    def __init__(self, channel: grpc.aio.Channel, lease: Lease) -> None:
        self._stub = LibraryServiceStub(channel)
        self._lease = lease

    async def items(self, ids: Sequence[str]) -> list[Item]:
        """Return those of the items that exist."""
        try:
            answer = await self._stub.GetItems(GetItemsRequest(ids=ids), timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return list(answer.items)

    async def items_below(self, root: str, folder: str) -> list[Item]:
        """Return all items in *folder* of *root* and below."""
        found: list[Item] = []
        request = ListItemsRequest(root=root, folder=folder, page_size=PAGE)
        while True:
            try:
                answer = await self._stub.ListItems(request, timeout=CALL_DEADLINE_S)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error
            found.extend(answer.items)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        """Write items under the job's lease and return their ids in order."""
        request = UpsertItemsRequest(
            job_id=self._lease.job_id,
            token=self._lease.token,
            items=items,
            missing_ids=missing_ids,
        )
        try:
            answer = await self._stub.UpsertItems(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return list(answer.ids)
