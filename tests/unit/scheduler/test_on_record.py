"""What of gRPC is put on record, and what an entry keeps."""

import pytest
from callsheet_scheduler.rpc.on_record import ACTS, address_of, said_of

from callsheet.v1 import (
    access_service_pb2,
    fleet_service_pb2,
    immich_service_pb2,
    job_service_pb2,
    library_service_pb2,
    schedule_service_pb2,
)
from callsheet.v1.access_service_pb2 import CreateApiKeyRequest
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, RetryJobRequest

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
