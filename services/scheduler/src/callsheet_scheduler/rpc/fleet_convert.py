"""Translates workers and scopes of the queue."""

from callsheet.v1.fleet_service_pb2 import LimitQueueRequest
from callsheet.v1.fleet_service_pb2 import Queue as WireQueue
from callsheet.v1.fleet_service_pb2 import Worker as WireWorker
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.rpc.convert import instant_to_wire
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
        last_heartbeat_at=instant_to_wire(worker.last_seen_at or None),
        load=worker.load,
        version=capability.version,
        software_gpu=capability.software_gpu,
        sandbox=capability.sandbox,
        draining=worker.draining,
        leaving=worker.leaving,
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
