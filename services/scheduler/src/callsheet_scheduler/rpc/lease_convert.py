"""Translates what workers and the scheduler say to one another."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.v1 import job_pb2, job_service_pb2
from callsheet.v1.lease_service_pb2 import (
    Device,
    DeviceReading,
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
from callsheet_scheduler.domain.device import SOFTWARE, Card, DeviceId, Reading, held_by
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

#: As a driver has it, such as ``GPU-5b1c…`` or ``MIG-…``.
DEVICE_ID: Final = re.compile(r"[A-Za-z0-9._/-]{1,128}")
DEVICES_MAX: Final = 64
MEMORY_MIB_MAX: Final = 1 << 24

#: Characters of a GPU's name, driver or problem that are kept.
TEXT_MAX: Final = 200

#: Protections of a sandbox that are kept.
WORDS_MAX: Final = 32

ENDINGS: Final[Mapping[int, Ending]] = {
    job_pb2.FAILURE_KIND_BAD_INPUT: Ending.BAD_INPUT,
    job_pb2.FAILURE_KIND_CAPACITY: Ending.CAPACITY,
    job_pb2.FAILURE_KIND_OUT_OF_VRAM: Ending.OUT_OF_VRAM,
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
        sandbox=words_from_wire(hello.sandbox),
        sandbox_lacks=words_from_wire(hello.sandbox_lacks),
        cards=_cards_from_wire(hello.devices),
    )


def words_from_wire(words: Sequence[str]) -> tuple[str, ...]:
    """Return what a worker says of its sandbox, no more and no longer than anybody wants to read."""
    return tuple(plain(word) for word in words[:WORDS_MAX])


def _cards_from_wire(devices: Sequence[Device]) -> tuple[Card, ...]:
    if len(devices) > DEVICES_MAX:
        message = f"at most {DEVICES_MAX} GPUs are allowed"
        raise InvalidError(message, field="hello.devices")
    for device in devices:
        if not DEVICE_ID.fullmatch(device.uuid) or device.uuid == SOFTWARE:
            message = f"{device.uuid!r} is no UUID of a GPU"
            raise InvalidError(message, field="hello.devices")
        if not 0 < device.memory_mib <= MEMORY_MIB_MAX:
            message = f"{device.uuid} must have from 1 to {MEMORY_MIB_MAX} MiB"
            raise InvalidError(message, field="hello.devices")
    cards = [
        Card(
            id=DeviceId(device.uuid),
            index=device.index,
            name=plain(device.name),
            memory_mib=device.memory_mib,
            encoder_sessions_max=(
                device.encoder_sessions_max if device.HasField("encoder_sessions_max") else None
            ),
            driver=plain(device.driver),
        )
        for device in devices
    ]
    return tuple({card.id: card for card in cards}.values())


def readings_from_wire(devices: Iterable[DeviceReading]) -> dict[DeviceId, Reading]:
    """Return what a worker saw of its GPUs."""
    return {
        DeviceId(seen.uuid): Reading(
            used_mib=seen.used_mib,
            ours_mib=seen.ours_mib if seen.HasField("ours_mib") else None,
            encoder_sessions=seen.encoder_sessions,
            utilization_percent=min(seen.utilization_percent, 100),
            temperature_c=seen.temperature_c,
            memory_mib=min(seen.memory_mib, MEMORY_MIB_MAX),
            gone=seen.gone,
            problem=plain(seen.problem),
            held=frozenset((JobId(lease.job_id), Token(lease.token)) for lease in seen.held),
        )
        for seen in devices
    }


def plain(text: str) -> str:
    """Return what the tables take of a text that is for people."""
    return text.replace("\x00", "\ufffd")[:TEXT_MAX]


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
        learns_vram=offer.learns_vram,
        internal=offer.internal,
    )


def attempt_from_wire(result: Result, now: float) -> Attempt:
    """Return which lease a result speaks of, and its instants; it ended *now* where it does not say."""
    lease = result.lease
    return Attempt(
        JobId(lease.job_id),
        Token(lease.token),
        instant_from_wire(result.started_at) or None,
        instant_from_wire(result.ended_at) or now,
    )


def outcome_from_wire(result: Result) -> Outcome:
    """Return how an attempt ended that did not complete."""
    match result.WhichOneof("outcome"):
        case "failed":
            failed = result.failed
            return Outcome(
                peak_vram_mib=result.peak_vram_mib,
                ending=ENDINGS.get(failed.kind, Ending.TRANSIENT),
                reason=failed.reason,
                library=changes_from_wire(failed.library) if failed.HasField("library") else None,
                rung=Rung(failed.stop_rung) if failed.stop_rung in _RUNGS else Rung.NONE,
            )
        case "paused":
            return Outcome(
                ending=Ending.PAUSED,
                checkpoint=result.paused.checkpoint_json or "{}",
                peak_vram_mib=result.peak_vram_mib,
            )
        case "yielded":
            return Outcome(
                ending=Ending.YIELDED,
                checkpoint=result.yielded.checkpoint_json or "{}",
                peak_vram_mib=result.peak_vram_mib,
            )
        case _:
            returned = result.returned
            return Outcome(
                ending=Ending.RETURNED,
                reason=returned.reason,
                checkpoint=returned.checkpoint_json or None,
                peak_vram_mib=result.peak_vram_mib,
            )


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


def completion_from_wire(result: Result) -> Completion:
    """Return what a worker brings that did what it was asked for."""
    done = result.completed
    return Completion(
        done.result_json,
        changes_from_wire(done.library) if done.HasField("library") else None,
        [submission_from_wire(job) for job in follow_ups] if (follow_ups := done.follow_ups) else (),
        [output_from_wire(output) for output in outputs] if (outputs := done.outputs) else (),
        result.peak_vram_mib,
    )


def add_ack(acks: RepeatedCompositeFieldContainer[ResultAck], message: SendAck) -> None:
    """Add the answer to a result."""
    ack = acks.add()
    ack.fate = ResultFate.ValueType(message.fate)
    lease = ack.lease
    lease.job_id, lease.token = message.job_id, message.token


def add_grant(
    grants: RepeatedCompositeFieldContainer[Grant], message: SendGrant, *, run_limit_s: int
) -> None:
    """Add a lease."""
    job, grant = message.job, grants.add()
    lease = grant.lease
    lease.job_id, lease.token = job.id, message.token
    grant.type = job.type
    grant.params_json = message.params
    grant.attempt = message.attempt
    grant.run_limit_s = run_limit_s
    grant.priority = job.priority
    if job.interactive:
        grant.interactive = True
    if message.checkpoint:
        grant.checkpoint_json = message.checkpoint
    if job.collection is not None:
        grant.collection = job.collection
    if job.trace is not None:
        grant.traceparent = job.trace
    need = None if job.device is None else held_by(job)
    if need is not None:
        grant.device_uuid = job.device or ""
        grant.vram_mib, grant.encoder_sessions = need


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
