"""The library over gRPC, with a leading scheduler behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING

import asyncpg
import grpc
import pytest
import pytest_asyncio
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.rpc.library_convert import changes_from_wire
from callsheet_scheduler.rpc.library_service import LibraryService
from callsheet_scheduler.store.collections import CollectionStore
from callsheet_scheduler.store.library_reads import LibraryStore
from callsheet_scheduler.use_cases.collections import Collections
from callsheet_scheduler.use_cases.library import Library
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.channel import open_channel
from callsheet.errors import InvalidError, LeaseLostError, NotFoundError, StateError
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.service.server import make_server, serve
from callsheet.v1 import library_service_pb2 as wire
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub, add_LibraryServiceServicer_to_server
from callsheet.wire_errors import from_rpc_error
from tests.support.library_rows import apply_changes

if TYPE_CHECKING:
    from callsheet.v1.library_service_pb2_grpc import LibraryServiceAsyncStub  # there for types alone

TOKEN = 7


@pytest_asyncio.fixture
async def stub(
    fresh_dsn: str, db_lists: AsyncEngine, db_readers: asyncpg.Pool
) -> "AsyncIterator[LibraryServiceAsyncStub]":
    """A client of a scheduler that leads."""
    leadership = Leadership(fresh_dsn, db_readers, Rules(), SystemClock())
    leading = asyncio.create_task(leadership.run())
    await leadership.leading()
    server = make_server(token=None)
    service = LibraryService(
        Library(leadership, LibraryStore(db_lists, db_readers)),
        Collections(leadership, CollectionStore(db_readers)),
    )
    add_LibraryServiceServicer_to_server(service, server)
    port = await serve(server, "127.0.0.1:0", ("callsheet.v1.LibraryService",))
    async with open_channel(f"127.0.0.1:{port}") as channel:
        yield LibraryServiceStub(channel)
    await server.stop(0)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)


@pytest_asyncio.fixture
async def job_id(db_writer: asyncpg.Connection) -> str:
    """A scan that is leased under TOKEN."""
    made = new_job_id()
    await db_writer.execute(
        """
        INSERT INTO job_live (
            id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
            created_at, params, state, token, attempt, retry_count, lost_count, capacity_count
        ) VALUES ($1, 1, 'scan', 1, 5, false, 0, 3, 0, now(), '{}', 2, $2, 1, 0, 0, 0)
        """,
        made,
        TOKEN,
    )
    return made


def clip(path: str) -> wire.ItemFacts:
    return wire.ItemFacts(
        root="library",
        path=path,
        kind=wire.MEDIA_KIND_VIDEO,
        state=wire.ITEM_STATE_OK,
        size_bytes=1 << 40,
        mtime_ns=1_700_000_000_123_456_789,
        identity="aa",
        width=1920,
        height=1080,
        duration_s=0.0,
        format="mov",
        video_codec="h264",
        rotation=90,
        frame_rate=29.97,
        extra_json='{"tags": ["é"]}',
    )


async def refused(call: Awaitable[Message]) -> InvalidError | StateError | NotFoundError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidError | StateError | NotFoundError)
    return error


async def test_what_a_scan_writes_is_what_a_client_reads(
    stub: "LibraryServiceAsyncStub", db_writer: asyncpg.Connection, job_id: str
) -> None:
    facts = [clip("b.mp4"), clip("a/c.mp4")]
    written = await stub.UpsertItems(wire.UpsertItemsRequest(job_id=job_id, token=TOKEN, items=facts))
    made = wire.DerivativeFacts(
        item_id=written.ids[0],
        kind="thumbhash",
        recipe="thumbhash-v1",
        source_identity="aa",
        media_type="application/octet-stream",
        size_bytes=2,
        inline=b"\x00\xff",
    )
    changes = changes_from_wire(wire.LibraryChanges(derivatives=[made]))
    await apply_changes(db_writer, job_id, TOKEN, changes, 1_800_000_000.0)
    got = (await stub.GetItem(wire.GetItemRequest(root="library", path="b.mp4"))).item
    assert got == (await stub.GetItem(wire.GetItemRequest(id=written.ids[0]))).item
    assert (got.id, got.facts) == (written.ids[0], facts[0])
    assert got.facts.HasField("duration_s")
    [derivative] = got.derivatives
    assert (derivative.facts, derivative.job_id, derivative.created_at.seconds) == (
        made,
        job_id,
        1_800_000_000,
    )
    page = await stub.ListItems(wire.ListItemsRequest(folder="a/", page_size=1))
    assert [item.facts.path for item in page.items] == ["a/c.mp4"]
    both = await stub.GetItems(wire.GetItemsRequest(ids=[*written.ids, new_job_id()]))
    assert {item.id for item in both.items} == set(written.ids)
    stats = await stub.GetCacheStats(wire.GetCacheStatsRequest())
    assert (stats.item_count, stats.derivative_count, stats.derivative_bytes) == (2, 1, 2)


async def test_files_that_are_gone_are_marked(stub: "LibraryServiceAsyncStub", job_id: str) -> None:
    written = await stub.UpsertItems(wire.UpsertItemsRequest(job_id=job_id, token=TOKEN, items=[clip("a")]))
    await stub.UpsertItems(wire.UpsertItemsRequest(job_id=job_id, token=TOKEN, missing_ids=written.ids))
    page = await stub.ListItems(wire.ListItemsRequest(states=[wire.ITEM_STATE_MISSING]))
    assert [item.id for item in page.items] == written.ids


async def test_stale_lease_is_told_so(stub: "LibraryServiceAsyncStub", job_id: str) -> None:
    request = wire.UpsertItemsRequest(job_id=job_id, token=TOKEN - 1, items=[clip("a")])
    error = await refused(stub.UpsertItems(request))
    assert type(error).status == LeaseLostError.status
    assert (await stub.ListItems(wire.ListItemsRequest())).total == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "../a"}, "items[0].path"),
        ({"kind": 0}, "items[0].kind"),
        ({"kind": 99}, "items[0].kind"),
        ({"state": wire.ITEM_STATE_MISSING}, "items[0].state"),
        ({"size_bytes": (1 << 64) - 1}, "items[0].size_bytes"),
        ({"extra_json": "{"}, "items[0].extra_json"),
    ],
)
async def test_item_that_cannot_be_written_is_named(
    stub: "LibraryServiceAsyncStub", job_id: str, change: dict[str, int | str], field: str
) -> None:
    item = clip("a")
    for name, value in change.items():
        setattr(item, name, value)
    request = wire.UpsertItemsRequest(job_id=job_id, token=TOKEN, items=[item])
    error = await refused(stub.UpsertItems(request))
    assert isinstance(error, InvalidError)
    assert error.field == field


async def test_questions_that_cannot_be_answered_are_refused_by_their_field(
    stub: "LibraryServiceAsyncStub",
) -> None:
    calls: dict[str, Awaitable[Message]] = {
        "root": stub.ListItems(wire.ListItemsRequest(root="../x")),
        "folder": stub.ListItems(wire.ListItemsRequest(folder="a/../b")),
        "query": stub.ListItems(wire.ListItemsRequest(query="x" * 201)),
        "page_size": stub.ListItems(wire.ListItemsRequest(page_size=1001)),
        "page_token": stub.ListItems(wire.ListItemsRequest(page_token="?")),
        "kinds[1]": stub.ListItems(
            wire.ListItemsRequest(kinds=[wire.MEDIA_KIND_IMAGE, wire.MediaKind.ValueType(77)])
        ),
        "ids": stub.GetItems(wire.GetItemsRequest(ids=[new_job_id()] * 1001)),
        "count": stub.SampleItems(wire.SampleItemsRequest(count=1001)),
        "ids[0]": stub.GetItems(wire.GetItemsRequest(ids=["x"])),
        "id": stub.GetItem(wire.GetItemRequest(id=new_job_id(), root="library")),
    }
    for field, call in calls.items():
        error = await refused(call)
        assert isinstance(error, InvalidError)
        assert error.field == field


async def test_item_that_is_not_there_is_not_found(stub: "LibraryServiceAsyncStub") -> None:
    assert isinstance(await refused(stub.GetItem(wire.GetItemRequest(id=new_job_id()))), NotFoundError)
    missing = wire.GetItemRequest(root="library", path="a")
    assert isinstance(await refused(stub.GetItem(missing)), NotFoundError)
