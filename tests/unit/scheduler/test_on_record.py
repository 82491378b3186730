"""What of gRPC is put on record, and what an entry keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from callsheet_scheduler.rpc.on_record import ACTS, OnRecord, address_of, said_of
from callsheet_scheduler.store.access import AuditRow
from callsheet_scheduler.use_cases.access import Access
from typing_extensions import override

from callsheet.channel import open_channel
from callsheet.service.clock import SystemClock
from callsheet.service.server import Context, House, make_server, serve
from callsheet.v1 import (
    access_service_pb2,
    fleet_service_pb2,
    immich_service_pb2,
    job_service_pb2,
    library_service_pb2,
    schedule_service_pb2,
)
from callsheet.v1.access_service_pb2 import CreateApiKeyRequest
from callsheet.v1.immich_service_pb2 import (
    ChangeImmichServerRequest,
    ChangeImmichServerResponse,
    ListImmichServersRequest,
    ListImmichServersResponse,
    ReportImmichServerRequest,
    ReportImmichServerResponse,
)
from callsheet.v1.immich_service_pb2_grpc import (
    ImmichServiceServicer,
    ImmichServiceStub,
    add_ImmichServiceServicer_to_server,
)
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, RetryJobRequest
from tests.support.patience import PATIENCE_S

SERVICES = (
    access_service_pb2,
    fleet_service_pb2,
    immich_service_pb2,
    job_service_pb2,
    library_service_pb2,
    schedule_service_pb2,
)
READING = ("Get", "List", "Watch", "Read", "Check", "Sample")
NO_ACTS = {
    "SubmitJobs",  # by the thousand, and each job says whose it is
    "UpsertItems",  # what workers found
    "NoteViews",  # what was looked at
    "ResolveApiKey",  # a look at a credential
    "ReportImmichServer",  # what controllers saw
    "AppendAudit",  # the trail itself
}


def test_every_method_that_changes_something_is_on_record_or_excepted_here() -> None:
    changing: set[tuple[str, str]] = set()
    for module in SERVICES:
        for service in module.DESCRIPTOR.services_by_name.values():
            names = {method.name for method in service.methods if not method.name.startswith(READING)}
            changing |= {(service.name, name) for name in names - NO_ACTS}
    assert changing == {(service, name) for service, names in ACTS.items() for name in names}


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:51022", "10.0.0.7"),
        ("ipv6:%5B2001:db8::1%5D:51022", "2001:db8::1"),
        ("ipv6:[::1]:51022", "::1"),
        ("unix:/run/callsheet", ""),
    ],
)
def test_peer_of_grpc_has_the_address_of_its_host(peer: str, address: str) -> None:
    assert address_of(peer) == address


def test_entry_keeps_what_was_asked_for_on_one_line_without_secrets_and_not_too_much() -> None:
    key = CreateApiKeyRequest(name="shop\u202e", sha256=b"s" * 32)
    assert said_of(key) == '{"name": "shop\\u202e"}'
    assert said_of(RetryJobRequest()) == ""
    long = said_of(ActOnJobsRequest(ids=["019aa1f7-6f00-7000-8000-000000000001"] * 1000))
    assert (len(long), long[-1]) == (1000, "…")


class Trail:
    """Keeps what is put on record."""

    def __init__(self) -> None:
        self.rows: asyncio.Queue[AuditRow] = asyncio.Queue()

    async def append_audit(self, rows: Sequence[AuditRow]) -> None:
        for row in rows:
            self.rows.put_nowait(row)


class Slow(ImmichServiceServicer):
    """Takes its time to end, as one does that gives a connection back to a database that hangs."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.go_on = asyncio.Event()

    def _is_over(self, _: object) -> None:
        self.over.set()

    @override
    async def ChangeImmichServer(
        self, request: ChangeImmichServerRequest, context: Context
    ) -> ChangeImmichServerResponse:
        context.add_done_callback(cast("Any", self._is_over))
        try:
            self.begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await self.go_on.wait()
        return ChangeImmichServerResponse()

    @override
    async def ListImmichServers(
        self, request: ListImmichServersRequest, context: Context
    ) -> ListImmichServersResponse:
        return ListImmichServersResponse()

    @override
    async def ReportImmichServer(
        self, request: ReportImmichServerRequest, context: Context
    ) -> ReportImmichServerResponse:
        return ReportImmichServerResponse()


async def test_call_whose_caller_is_gone_before_it_ends_is_on_record() -> None:
    trail, slow = Trail(), Slow()
    around = OnRecord(cast("Access", trail), SystemClock()).around
    server = make_server(token=None, house=House(around=around))
    add_ImmichServiceServicer_to_server(slow, server)
    port = await serve(server, "127.0.0.1:0", ["callsheet.v1.ImmichService"])
    async with asyncio.timeout(PATIENCE_S), open_channel(f"127.0.0.1:{port}") as channel:
        call = ImmichServiceStub(channel).ChangeImmichServer(ChangeImmichServerRequest())
        await slow.begun.wait()
        call.cancel()
        await slow.over.wait()
        for _ in range(10):  # gRPC takes the call away in one of the next steps
            await asyncio.sleep(0)
        slow.go_on.set()
        entry = await trail.rows.get()
    assert (entry.actor, entry.address, entry.status) == ("grpc", "127.0.0.1", 503)
    await server.stop(None)
