"""ImmichService: translate in, call, translate out."""

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.v1.immich_service_pb2 import (
    ChangeImmichServerRequest,
    ChangeImmichServerResponse,
    ListImmichServersRequest,
    ListImmichServersResponse,
    ReportImmichServerRequest,
    ReportImmichServerResponse,
)
from callsheet.v1.immich_service_pb2_grpc import ImmichServiceServicer
from callsheet_scheduler.rpc.immich_convert import (
    BY_MAX,
    change_from_wire,
    decided_to_wire,
    report_from_wire,
    server_to_wire,
)
from callsheet_scheduler.use_cases.immich import ImmichServers

Context = grpc.aio.ServicerContext[Message, Message]


class ImmichService(ImmichServiceServicer):
    """Immich servers whose queues run by leases."""

    def __init__(self, servers: ImmichServers) -> None:
        self._servers = servers

    @override
    async def ListImmichServers(
        self, request: ListImmichServersRequest, context: Context
    ) -> ListImmichServersResponse:
        return ListImmichServersResponse(servers=[server_to_wire(server) for server in self._servers.all()])

    @override
    async def ChangeImmichServer(
        self, request: ChangeImmichServerRequest, context: Context
    ) -> ChangeImmichServerResponse:
        server = await self._servers.change(request.name, change_from_wire(request))
        return ChangeImmichServerResponse(server=server_to_wire(server))

    @override
    async def ReportImmichServer(
        self, request: ReportImmichServerRequest, context: Context
    ) -> ReportImmichServerResponse:
        if request.leaving:
            self._servers.left(request.name, request.controller[:BY_MAX])
            return ReportImmichServerResponse()
        report = report_from_wire(request, now=self._servers.now())
        return decided_to_wire(self._servers.report(request.name, report))
