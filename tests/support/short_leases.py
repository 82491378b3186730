"""A scheduler whose leases end two seconds after the last heartbeat, and what tests ask it by."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.v1.library_service_pb2 import GetItemRequest, Item
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from tests.support.queue import CALL_DEADLINE_S, Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path, lease_ttl_s="2") as scheduler:
        yield scheduler


@pytest.fixture
async def channel(scheduler: RealScheduler) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(scheduler.address) as channel:
        yield channel


@pytest.fixture
def jobs(channel: grpc.aio.Channel) -> Jobs:
    return Jobs(channel)


async def item_at(channel: grpc.aio.Channel, root: str, path: str) -> Item:
    """Return the item at this root and path."""
    request = GetItemRequest(root=root, path=path)
    return (await LibraryServiceStub(channel).GetItem(request, timeout=CALL_DEADLINE_S)).item
