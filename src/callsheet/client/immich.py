"""What the client asks of Immich servers."""

from collections.abc import Sequence

from callsheet.client.wire import Wire
from callsheet.v1.immich_service_pb2 import (
    ChangeImmichServerRequest,
    ImmichServer,
    ListImmichServersRequest,
)


class ImmichSteering(Wire):
    """Immich servers whose queues run by leases. Every method is safe to repeat."""

    async def immich_servers(self) -> Sequence[ImmichServer]:
        """Return every server by name, as its controller saw it last."""
        request = ListImmichServersRequest()
        return (await self._repeating.call(self._immich.ListImmichServers, request)).servers

    async def change_immich_server(self, wanted: ChangeImmichServerRequest) -> ImmichServer:
        """Decide what is set in *wanted*, and return the server; its controller hears of it in seconds."""
        return (await self._repeating.call(self._immich.ChangeImmichServer, wanted)).server
