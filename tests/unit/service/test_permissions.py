"""Who may call what is one table, and it is the table that the server goes by."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from typing_extensions import override

from callsheet.channel import open_channel
from callsheet.errors import InvalidError
from callsheet.identities import Identity, Role, parse_identity
from callsheet.service.permissions import PERMISSIONS, check_complete, methods_of
from callsheet.service.server import make_server, serve
from callsheet.v1 import (
    access_service_pb2,
    externalscaler_pb2,
    fleet_service_pb2,
    immich_service_pb2,
    job_service_pb2,
    lease_service_pb2,
    library_service_pb2,
    schedule_service_pb2,
)
from tests.support.certificates import Certificates

MODULES = (
    access_service_pb2,
    externalscaler_pb2,
    fleet_service_pb2,
    immich_service_pb2,
    job_service_pb2,
    lease_service_pb2,
    library_service_pb2,
    schedule_service_pb2,
)
SERVICES = [one.full_name for module in MODULES for one in module.DESCRIPTOR.services_by_name.values()]

Bytes = grpc.aio.ServicerContext[bytes, bytes]


class Answering(grpc.GenericRpcHandler):
    """Answers every call of our services with nothing."""

    @override
    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method not in methods_of(SERVICES):
            return None
        if not streams(handler_call_details.method):
            return grpc.unary_unary_rpc_method_handler(answer)
        return grpc.stream_stream_rpc_method_handler(answers)


async def answer(_: bytes, __: Bytes) -> bytes:
    return b""


async def answers(_: AsyncIterator[bytes], __: Bytes) -> AsyncIterator[bytes]:
    yield b""


def streams(method: str) -> bool:
    service, name = method.removeprefix("/").split("/")
    found = Default().FindServiceByName(service).methods_by_name[name]
    return bool(found.server_streaming)


@asynccontextmanager
async def answering(certificates: Certificates) -> AsyncGenerator[str]:
    server = make_server(token=None)
    server.add_generic_rpc_handlers((Answering(),))
    port = await serve(server, "127.0.0.1:0", SERVICES, tls=certificates.tls(Role.SCHEDULER))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def refused(channel: grpc.aio.Channel, method: str) -> grpc.StatusCode | None:
    """Call *method* and return the status that refuses it; None where it is answered."""
    try:
        if streams(method):
            calling: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
            async for _ in calling(iter([b""]), timeout=60):
                pass
        else:
            asking: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
            await asking(b"", timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None


async def test_every_method_is_answered_to_the_roles_of_its_entry_and_to_no_other(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    wrong: list[str] = []
    async with answering(certificates) as address:
        for role in Role:
            async with open_channel(address, tls=certificates.tls(role)) as channel:
                for method in methods_of(SERVICES):
                    expected = None if role in PERMISSIONS[method] else grpc.StatusCode.PERMISSION_DENIED
                    if await refused(channel, method) is not expected:
                        wrong.append(f"{role} {method}")

    assert wrong == []


def test_what_would_give_a_worker_or_an_application_power_over_others_is_not_theirs() -> None:
    for role in (Role.WORKER, Role.IMMICH, Role.CLIENT):
        mine = {method.rsplit("/", 1)[1] for method, roles in PERMISSIONS.items() if role in roles}
        assert not mine & {"CreateApiKey", "ResolveApiKey", "DrainWorker", "PauseQueue", "AddSchedule"}
        assert not mine & {"ActOnJobs", "ChangeJobType", "PrioritizeJob", "AppendAudit", "NoteViews"}
    assert PERMISSIONS["/callsheet.v1.LeaseService/Work"] == {Role.WORKER, Role.IMMICH}
    assert PERMISSIONS["/callsheet.v1.AccessService/ResolveApiKey"] == {Role.GATEWAY}


def test_every_entry_is_of_a_method_that_there_is() -> None:
    ours = {method for method in PERMISSIONS if not method.startswith("/grpc.")}

    assert ours == set(methods_of(SERVICES))


async def test_server_with_a_method_that_nobody_may_call_does_not_start() -> None:
    file = FileDescriptorProto(name="tests/forgotten.proto", package="tests")
    file.message_type.add(name="Nothing")
    file.service.add(name="Forgotten").method.add(
        name="Call", input_type=".tests.Nothing", output_type=".tests.Nothing"
    )
    Default().AddSerializedFile(file.SerializeToString())

    with pytest.raises(InvalidError, match=r"no role may call /tests\.Forgotten/Call"):
        check_complete(["tests.Forgotten"])
    with pytest.raises(InvalidError, match=r"/tests\.Forgotten/Call"):
        await serve(make_server(token=None), "127.0.0.1:0", ["tests.Forgotten"])


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://callsheet/worker",
        "spiffe://callsheet/worker/",
        "spiffe://callsheet/king/atlas",
        "spiffe://elsewhere/worker/atlas",
        "spiffe://callsheet/worker/atlas/more",
        "https://callsheet/worker/atlas",
        f"spiffe://callsheet/worker/{'a' * 65}",
    ],
)
def test_id_of_another_form_is_nobodys(uri: str) -> None:
    assert parse_identity(uri) is None


def test_id_says_role_and_name() -> None:
    identity = Identity.named(Role.WORKER, "gpu-7.example")

    assert parse_identity(identity.uri) == identity


@pytest.mark.parametrize(
    ("worker_id", "may"),
    [
        ("gpu", True),
        ("gpu-cpu-0a1b2c3d", True),
        ("gpu-7-cpu-0a1b2c3d", False),
        ("gpu-7", False),
        ("gpu7-cpu-0a1b2c3d", False),
        ("other-cpu-0a1b2c3d", False),
        ("", False),
    ],
)
def test_worker_speaks_as_its_own_name_alone(worker_id: str, may: bool) -> None:  # noqa: FBT001 -- a case
    assert Identity.named(Role.WORKER, "gpu").may_speak_as(worker_id) is may
