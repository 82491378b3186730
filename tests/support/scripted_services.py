"""Services of the contract on loopback whose answers a test writes down beforehand."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from callsheet.client import Patience
from callsheet.errors import UnavailableError
from callsheet.service.server import make_server, serve
from callsheet.v1 import fleet_service_pb2, job_service_pb2, library_service_pb2

Step: TypeAlias = Message | Exception | Callable[[], Awaitable[None]]
"""An answer, an error to raise, or something to do before the next step."""

Context = grpc.aio.ServicerContext[Message, Message]

SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (job_service_pb2, "JobService"),
        (library_service_pb2, "LibraryService"),
        (fleet_service_pb2, "FleetService"),
    )
)
#: For clients of theirs.
QUICK: Final = Patience(total_s=20.0, try_s=5.0, pause_s=0.01, pause_max_s=0.02)
AWAY: Final = UnavailableError("no scheduler leads")
NAMES: Final = tuple(service.full_name for service in SERVICES)


class Script:
    """What each method does, call by call, and what it was asked. The last steps serve all later calls."""

    def __init__(self) -> None:
        self.asked: defaultdict[str, list[Message]] = defaultdict(list)
        self.steps: dict[str, list[list[Step]]] = {}

    def will(self, method: str, *calls: Step | list[Step]) -> None:
        """Write down what the next calls of *method* do: one step, or several."""
        self.steps[method] = [call if isinstance(call, list) else [call] for call in calls]

    async def play(self, method: str, request: Message) -> AsyncIterator[Message]:
        """Do what the next call of *method* does."""
        number = len(self.asked[method])
        self.asked[method].append(request)
        calls = self.steps[method]
        for step in calls[min(number, len(calls) - 1)]:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Message):
                yield step
            else:
                await step()

    async def one(self, method: str, request: Message) -> Message:
        """Do what the next call of *method* does, and return its only answer."""
        [answer] = [answer async for answer in self.play(method, request)]
        return answer


def add_services(script: Script, server: grpc.aio.Server) -> None:
    """Let *server* answer as *script* says."""
    for service in SERVICES:
        methods = {method.name: _handler(script, method) for method in service.methods}
        handler = grpc.method_handlers_generic_handler(service.full_name, methods)
        server.add_generic_rpc_handlers((handler,))


def _handler(script: Script, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Message, Message]":
    asked = GetMessageClass(method.input_type).FromString
    said = GetMessageClass(method.output_type)

    def on_wire(answer: Message) -> bytes:
        assert isinstance(answer, said)
        return answer.SerializeToString()

    async def one(request: Message, _: Context) -> Message:
        return await script.one(method.name, request)

    async def each(request: Message, _: Context) -> AsyncIterator[Message]:
        async for answer in script.play(method.name, request):
            yield answer

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(each, asked, on_wire)
    return grpc.unary_unary_rpc_method_handler(one, asked, on_wire)


@asynccontextmanager
async def serving(
    script: Script, *, token: str | None = None, deadline_s: float = 30.0, port: int = 0
) -> AsyncGenerator[str]:
    """Serve *script* and yield the address."""
    server = make_server(token=token, deadline_s=deadline_s)
    add_services(script, server)
    bound = await serve(server, f"127.0.0.1:{port}", NAMES)
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(None)
