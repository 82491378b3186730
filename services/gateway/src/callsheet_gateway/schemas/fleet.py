"""Workers, and scopes of the queue, as REST has them."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue

from callsheet.client import Limit
from callsheet.v1.fleet_service_pb2 import ListWorkersResponse, Queue, Worker
from callsheet_gateway.schemas.jobs import Category, category_of
from callsheet_gateway.schemas.shared import Body, Camel, Instant, instant_or_none

QUEUE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "scope": "gpu_encode",
    "paused": True,
    "pausedAt": "2026-02-13T10:30:00.000Z",
    "pausedBy": "admin",
    "hostLimit": 2,
    "fleetLimit": None,
    "pending": 12,
    "queued": 0,
    "running": 2,
    "pausedJobs": 0,
}
WORKER_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "atlas-cpu-1f6c",
    "host": "atlas",
    "connected": True,
    "slots": 5,
    "leases": 2,
    "types": ["scan", "validate"],
    "roots": ["library"],
    "lastHeartbeatAt": "2026-02-13T10:30:00.000Z",
    "load": 0.42,
    "version": "0.1.0",
    "softwareGpu": False,
    "sandbox": ["rlimits", "no_new_privs", "landlock 7", "seccomp"],
    "sandboxLacks": [],
    "draining": False,
    "leaving": False,
}

HOST_LIMIT_MAX: Final = 10_000
FLEET_LIMIT_MAX: Final = 1_000_000


class QueueView(Camel):
    """A part of the queue that can be paused and limited."""

    scope: str = Field(description="all, a category such as gpu_encode, or a job type.")
    paused: bool = Field(description="Whether it is paused itself; a wider scope may be paused as well.")
    paused_at: Instant | None
    paused_by: str | None
    host_limit: int | None = Field(description="How many of its jobs may run on one host; null: no limit.")
    fleet_limit: int | None = Field(description="How many of its jobs may run at all; null: no limit.")
    pending: int = Field(description="Jobs that wait.")
    queued: int = Field(description="Jobs that are granted.")
    running: int = Field(description="Jobs that run.")
    paused_jobs: int = Field(description="Jobs that are paused one by one.")


class QueueList(Camel):
    """Every scope."""

    data: list[QueueView] = Field(description="all first, then the categories, then the job types by name.")


class QueueChange(Body):
    """New limits of a scope. A limit that is left out stays as it is; null lifts it."""

    model_config = ConfigDict(json_schema_extra={"example": {"scope": "gpu_encode", "hostLimit": 1}})

    scope: Annotated[str, Field(max_length=64, description="all, a category or a job type.")]
    host_limit: int | None = Field(
        default=None,
        ge=0,
        le=HOST_LIMIT_MAX,
        description="Jobs on one host at once; null: for a category its default holds again.",
    )
    fleet_limit: int | None = Field(
        default=None, ge=0, le=FLEET_LIMIT_MAX, description="Jobs in the whole fleet at once."
    )

    def limit(self, name: str) -> Limit | None:
        """Return the new limit of this field; None where it was left out."""
        return Limit(jobs=getattr(self, name)) if name in self.model_fields_set else None


class WorkerView(Camel):
    """A registered worker."""

    id: str
    host: str
    connected: bool = Field(description="Whether its stream is open.")
    slots: int = Field(description="Jobs that it can run at once.")
    leases: int = Field(description="Jobs that it holds.")
    types: list[str] = Field(description="The job types that it handles.")
    roots: list[str] = Field(description="The roots that it reaches.")
    last_heartbeat_at: Instant | None
    load: float = Field(description="Load of its host divided by the cores.")
    version: str
    software_gpu: bool = Field(description="Takes GPU jobs without a device.")
    sandbox: list[str] = Field(description="Protections in force for its children.")
    sandbox_lacks: list[str] = Field(
        description="Protections that its children go without, such as landlock where the kernel has none."
    )
    draining: bool = Field(description="An administrator drains it: it gets no more leases.")
    leaving: bool = Field(description="It leaves and takes no more leases.")


class WorkerList(Camel):
    """The fleet."""

    data: list[WorkerView] = Field(
        description="Every worker that is connected, holds a lease, or is drained."
    )
    host_limits: dict[Category, int] = Field(
        description="Jobs of a category at once on one host.",
        examples=[{"cpu": 5, "gpu_encode": 2, "gpu_ai": 1}],
    )


class Drain(Body):
    """How to drain a worker."""

    model_config = ConfigDict(json_schema_extra={"example": {"graceS": 600}})

    grace_s: float | None = Field(
        default=None,
        ge=0,
        le=30 * 24 * 3600,
        allow_inf_nan=False,
        description="Seconds until its jobs are handed back; null: they go on as long as they take.",
    )


def queue_view(queue: Queue) -> QueueView:
    """Return a scope."""
    return QueueView(
        scope=queue.scope,
        paused=queue.paused,
        paused_at=instant_or_none(queue.paused_at),
        paused_by=queue.paused_by or None,
        host_limit=queue.host_limit if queue.HasField("host_limit") else None,
        fleet_limit=queue.fleet_limit if queue.HasField("fleet_limit") else None,
        pending=queue.pending,
        queued=queue.queued,
        running=queue.running,
        paused_jobs=queue.paused_jobs,
    )


def worker_view(worker: Worker) -> WorkerView:
    """Return a worker."""
    return WorkerView(
        id=worker.id,
        host=worker.host,
        connected=worker.connected,
        slots=worker.slots,
        leases=worker.leases,
        types=list(worker.types),
        roots=list(worker.roots),
        last_heartbeat_at=instant_or_none(worker.last_heartbeat_at),
        load=worker.load,
        version=worker.version,
        software_gpu=worker.software_gpu,
        sandbox=list(worker.sandbox),
        sandbox_lacks=list(worker.sandbox_lacks),
        draining=worker.draining,
        leaving=worker.leaving,
    )


def fleet_view(fleet: ListWorkersResponse) -> WorkerList:
    """Return the fleet."""
    return WorkerList(
        data=[worker_view(worker) for worker in fleet.workers],
        host_limits={category_of(limit.category): limit.limit for limit in fleet.limits},
    )
