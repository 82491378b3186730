"""Translates workers, GPUs and scopes of the queue."""

from collections.abc import Iterable

from callsheet.v1.fleet_service_pb2 import (
    Allocation,
    DeviceAccount,
    DeviceSample,
    DeviceState,
    LimitQueueRequest,
)
from callsheet.v1.fleet_service_pb2 import Queue as WireQueue
from callsheet.v1.fleet_service_pb2 import Worker as WireWorker
from callsheet.v1.lease_service_pb2 import Device, LeaseRef
from callsheet_scheduler.domain.device import Charge
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.rpc.convert import instant_to_wire
from callsheet_scheduler.store.minutes import SampledAt
from callsheet_scheduler.use_cases.devices import DeviceView
from callsheet_scheduler.use_cases.queues import NewLimits, Queue


def worker_to_wire(worker: Worker) -> WireWorker:
    """Return a worker as a message."""
    capability = worker.capability
    return WireWorker(
        id=capability.id,
        host=capability.host,
        connected=worker.session is not None,
        slots=capability.slots,
        leases=len(worker.leases),
        types=sorted(capability.types),
        roots=sorted(capability.roots),
        writable_roots=sorted(capability.writable_roots),
        last_heartbeat_at=instant_to_wire(worker.last_seen_at or None),
        load=worker.load,
        version=capability.version,
        software_gpu=capability.software_gpu,
        sandbox=capability.sandbox,
        sandbox_lacks=capability.sandbox_lacks,
        draining=worker.draining,
        leaving=worker.leaving,
    )


def device_to_wire(view: DeviceView, history: Iterable[SampledAt] = ()) -> DeviceAccount:
    """Return an account as a message, and how it stood before."""
    account, latest = view.account, view.latest
    card, bounds = account.card, account.bounds
    return DeviceAccount(
        device=Device(
            uuid=card.id,
            index=card.index,
            name=card.name,
            memory_mib=card.memory_mib,
            encoder_sessions_max=card.encoder_sessions_max,
            driver=card.driver,
        ),
        host=account.host,
        state=DeviceState.ValueType(view.state),
        problem=view.problem,
        capacity_mib=bounds.capacity_mib,
        margin_mib=bounds.margin_mib,
        allocated_mib=account.allocated.vram_mib,
        observed_mib=0 if latest is None else account.observed_mib,
        foreign_mib=0 if latest is None else account.foreign_mib,
        free_mib=view.free.vram_mib,
        encoder_sessions=account.allocated.encoder_sessions,
        utilization_percent=0 if latest is None else latest.utilization_percent,
        temperature_c=0 if latest is None else latest.temperature_c,
        read_at=None if latest is None else instant_to_wire(account.read_at),
        workers=view.workers,
        allocations=[_allocation_to_wire(charge, job_type) for charge, job_type in view.charges],
        history=[
            DeviceSample(
                at=instant_to_wire(one.at),
                allocated_mib=one.sample.allocated_mib,
                observed_mib=one.sample.observed_mib,
                foreign_mib=one.sample.foreign_mib,
            )
            for one in history
        ],
    )


def _allocation_to_wire(charge: Charge, job_type: str) -> Allocation:
    job_id, token = charge.lease
    return Allocation(
        lease=LeaseRef(job_id=job_id, token=token),
        type=job_type,
        worker_id=charge.worker_id,
        vram_mib=charge.need.vram_mib,
        encoder_sessions=charge.need.encoder_sessions,
        lingering=charge.lingers_since is not None,
        charged_at=instant_to_wire(charge.at),
    )


def queue_to_wire(queue: Queue) -> WireQueue:
    """Return a scope as a message."""
    pause, counts = queue.pause, queue.counts
    return WireQueue(
        scope=queue.scope,
        paused=pause is not None,
        paused_at=None if pause is None else instant_to_wire(pause.at),
        paused_by="" if pause is None else pause.by,
        host_limit=queue.host_limit,
        fleet_limit=queue.fleet_limit,
        pending=counts.get(JobState.PENDING, 0),
        queued=counts.get(JobState.QUEUED, 0),
        running=counts.get(JobState.RUNNING, 0),
        paused_jobs=counts.get(JobState.PAUSED, 0),
    )


def limits_from_wire(request: LimitQueueRequest) -> NewLimits:
    """Return what to change of a scope's limits."""
    return NewLimits(
        host=request.host_limit if request.HasField("host_limit") else None,
        fleet=request.fleet_limit if request.HasField("fleet_limit") else None,
        clear_host=request.clear_host_limit,
        clear_fleet=request.clear_fleet_limit,
    )
