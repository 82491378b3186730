"""Translates what workers and the scheduler say to one another."""

import re
from collections.abc import Mapping
from typing import Final, assert_never

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.v1 import job_pb2, job_service_pb2
from callsheet.v1.lease_service_pb2 import (
    Completed,
    Drain,
    Grant,
    Hello,
    LeaseRef,
    Result,
    ResultAck,
    ResultFate,
    Revoke,
)
from callsheet.v1.lease_service_pb2 import Output as WireOutput
from callsheet_scheduler.domain.effects import Output, Revocation, SendAck, SendDrain, SendGrant, SendRevoke
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import JobId, Token, WorkerId
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.outcome import Ending, Outcome, Rung
from callsheet_scheduler.rpc.convert import (
    category_from_wire,
    duration_to_wire,
    instant_from_wire,
    submission_from_wire,
)
from callsheet_scheduler.rpc.library_convert import changes_from_wire
from callsheet_scheduler.use_cases.grants import Attempt, Completion

WORKER_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
SLOTS_MAX: Final = 10_000

ENDINGS: Final[Mapping[int, Ending]] = {
    job_pb2.FAILURE_KIND_BAD_INPUT: Ending.BAD_INPUT,
    job_pb2.FAILURE_KIND_CAPACITY: Ending.CAPACITY,
    job_pb2.FAILURE_KIND_OUT_OF_VRAM: Ending.CAPACITY,
    job_pb2.FAILURE_KIND_CANCELLED: Ending.CANCELLED,
}


def capability_from_wire(hello: Hello) -> Capability:
    """Return what a worker says of itself.

    Raises:
        InvalidError: A field is out of its range.
    """
    if not WORKER_ID.fullmatch(hello.worker_id):
        message = "must be 1 to 128 of A-Z a-z 0-9 . _ -"
        raise InvalidError(message, field="hello.worker_id")
    if hello.slots > SLOTS_MAX:
        message = f"at most {SLOTS_MAX} slots are allowed"
        raise InvalidError(message, field="hello.slots")
    return Capability(
        id=WorkerId(hello.worker_id),
        host=hello.host or hello.worker_id,
        slots=hello.slots,
        types=frozenset(offer.name for offer in hello.types),
        roots=frozenset(hello.roots),
        writable_roots=frozenset(hello.writable_roots),
        version=hello.version,
        software_gpu=hello.software_gpu,
        sandbox=tuple(hello.sandbox),
    )


def known_type_from_wire(offer: job_service_pb2.JobType) -> KnownType:
    """Return a declared job type.

    Raises:
        InvalidError: Its name or category is not acceptable.
    """
    if not TYPE_NAME.fullmatch(offer.name):
        message = f"{offer.name!r} is no name of a job type"
        raise InvalidError(message, field="hello.types")
    return KnownType(
        name=offer.name,
        description=offer.description,
        category=category_from_wire(offer.category, field="hello.types") or Category.CPU,
        vram_mib=offer.vram_mib,
        run_limit_s=offer.run_limit_s or 1800,
        params_schema=offer.params_schema_json,
        resumable=offer.resumable,
    )


def attempt_from_wire(result: Result, now: float) -> Attempt:
    """Return which lease a result speaks of, and its instants; it ended *now* where it does not say."""
    return Attempt(
        job_id=JobId(result.lease.job_id),
        token=Token(result.lease.token),
        started_at=instant_from_wire(result.started_at) if result.HasField("started_at") else None,
        ended_at=instant_from_wire(result.ended_at) if result.HasField("ended_at") else now,
    )


def outcome_from_wire(result: Result) -> Outcome:
    """Return how an attempt ended that did not complete."""
    match result.WhichOneof("outcome"):
        case "failed":
            failed = result.failed
            return Outcome(
                ending=ENDINGS.get(failed.kind, Ending.TRANSIENT),
                reason=failed.reason,
                library=changes_from_wire(failed.library) if failed.HasField("library") else None,
                rung=Rung(failed.stop_rung) if failed.stop_rung in _RUNGS else Rung.NONE,
            )
        case "paused":
            return Outcome(ending=Ending.PAUSED, checkpoint=result.paused.checkpoint_json or "{}")
        case _:
            returned = result.returned
            kept = returned.checkpoint_json or None
            return Outcome(ending=Ending.RETURNED, reason=returned.reason, checkpoint=kept)


_RUNGS: Final = frozenset(int(rung) for rung in Rung)


def output_from_wire(output: WireOutput) -> Output:
    """Return a finished file that was asked for under a certain path."""
    return Output(
        job_id=JobId(output.lease.job_id),
        token=Token(output.lease.token),
        root=output.root,
        staged_path=output.staged_path,
        path=output.path,
    )


def output_to_wire(output: Output) -> WireOutput:
    """Return an output as a message."""
    return WireOutput(
        lease=LeaseRef(job_id=output.job_id, token=output.token),
        root=output.root,
        staged_path=output.staged_path,
        path=output.path,
    )


def completion_from_wire(done: Completed) -> Completion:
    """Return what a worker brings that did what it was asked for."""
    return Completion(
        result=done.result_json,
        library=changes_from_wire(done.library) if done.HasField("library") else None,
        follow_ups=[submission_from_wire(job) for job in done.follow_ups],
        outputs=[output_from_wire(output) for output in done.outputs],
    )


def add_ack(acks: RepeatedCompositeFieldContainer[ResultAck], message: SendAck) -> None:
    """Add the answer to a result."""
    ack = acks.add(fate=ResultFate.ValueType(message.fate))
    ack.lease.job_id, ack.lease.token = message.job_id, message.token


def add_grant(
    grants: RepeatedCompositeFieldContainer[Grant], message: SendGrant, *, run_limit_s: int
) -> None:
    """Add a lease."""
    job = message.job
    grant = grants.add(
        type=job.type,
        params_json=message.params,
        attempt=message.attempt,
        run_limit_s=run_limit_s,
        priority=job.priority,
        interactive=job.interactive,
        checkpoint_json=message.checkpoint,
    )
    grant.lease.job_id, grant.lease.token = job.id, message.token


def revoke_to_wire(message: SendRevoke) -> Revoke:
    """Return what an attempt shall do."""
    lease = LeaseRef(job_id=message.job_id, token=message.token)
    match message.what:
        case Revocation.CANCEL:
            return Revoke(lease=lease, cancelled=True)
        case Revocation.PAUSE:
            return Revoke(lease=lease, paused=True)
        case _:
            assert_never(message.what)


def drain_to_wire(message: SendDrain) -> Drain:
    """Return whether a worker takes leases."""
    grace = None if message.grace_s is None else duration_to_wire(message.grace_s)
    return Drain(draining=message.draining, grace=grace)
