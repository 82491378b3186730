"""The door for KEDA, which can show no join token and knows one address.

Nothing else is served there. What comes is asked of this scheduler's own service, and goes on to the leader
from there as any client's call does; what is not answered in time is UNAVAILABLE.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.channel import open_channel
from callsheet.client.repeating import Patience, Repeating
from callsheet.service.server import make_server, serve
from callsheet.tls import TlsFolder
from callsheet.v1.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    ScaledObjectRef,
)
from callsheet.v1.externalscaler_pb2_grpc import (
    ExternalScalerServicer,
    ExternalScalerStub,
    add_ExternalScalerServicer_to_server,
)

Context = grpc.aio.ServicerContext[Message, Message]

log = logging.getLogger(__name__)

#: The service, for health and reflection.
SERVICE: Final = "externalscaler.ExternalScaler"

#: KEDA waits 3 s for an answer.
PATIENCE: Final = Patience(total_s=2.0, try_s=2.0, pause_s=0.05, pause_max_s=0.25)

#: Seconds that calls under way have to end when the scheduler stops.
GRACE_S: Final = 0.2


class ScalerDoor(ExternalScalerServicer):
    """Hands every call to the leader."""

    def __init__(self, channel: grpc.aio.Channel, repeating: Repeating) -> None:
        self._stub = ExternalScalerStub(channel)
        self._repeating = repeating

    @override
    async def IsActive(self, request: ScaledObjectRef, context: Context) -> IsActiveResponse:
        return await self._repeating.call(self._stub.IsActive, request)

    @override
    async def StreamIsActive(
        self, request: ScaledObjectRef, context: Context
    ) -> AsyncGenerator[IsActiveResponse, None]:
        answers = self._repeating.stream(self._stub.StreamIsActive, lambda: request)
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    @override
    async def GetMetricSpec(self, request: ScaledObjectRef, context: Context) -> GetMetricSpecResponse:
        return await self._repeating.call(self._stub.GetMetricSpec, request)

    @override
    async def GetMetrics(self, request: GetMetricsRequest, context: Context) -> GetMetricsResponse:
        return await self._repeating.call(self._stub.GetMetrics, request)


@asynccontextmanager
async def scaler_door(
    listen: str, scheduler: str, token: str | None, tls: TlsFolder | None = None
) -> AsyncGenerator[None]:
    """Serve KEDA at *listen*, nobody where that is empty, by asking *scheduler* with *token* and *tls*."""
    if not listen:
        yield
        return
    async with open_channel(scheduler, token=token, tls=tls) as channel:
        server = make_server(token=None)
        door = ScalerDoor(channel, Repeating(target=scheduler, patience=PATIENCE))
        add_ExternalScalerServicer_to_server(door, server)
        port = await serve(server, listen, (SERVICE,))
        log.info("serving KEDA", extra={"keda_port": port})
        try:
            yield
        finally:
            await server.stop(GRACE_S)
