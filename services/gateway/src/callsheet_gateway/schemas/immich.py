"""Immich servers, as REST has them."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue

from callsheet.v1.immich_service_pb2 import (
    ChangeImmichServerRequest,
    ImmichHold,
    ImmichQueue,
    ImmichServer,
)
from callsheet_gateway.schemas.shared import Body, Camel, Instant, instant_or_none

LIMIT_MAX: Final = 100
QUEUES_MAX: Final = 200

QUEUE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "name": "smartSearch",
    "state": "running",
    "hold": "open",
    "active": 2,
    "waiting": 1200,
    "delayed": 0,
    "failed": 3,
    "leased": True,
    "waitsForLease": False,
    "stalled": False,
}
SERVER_EXAMPLE: Final[dict[str, JsonValue]] = {
    "name": "immich",
    "address": "http://immich:2283",
    "version": "3.2.2",
    "reach": "reached",
    "error": None,
    "reachedAt": "2026-02-13T10:30:00.000Z",
    "reportedAt": "2026-02-13T10:30:01.000Z",
    "paused": False,
    "pausedAt": None,
    "pausedBy": None,
    "limit": 2,
    "limitIsOwn": True,
    "interval": 10.0,
    "intervalIsOwn": True,
    "order": ["sidecar", "metadataExtraction", "smartSearch"],
    "orderIsOwn": False,
    "applied": True,
    "queues": [QUEUE_EXAMPLE],
}


class Reach(StrEnum):
    """Whether what is shown of a server is present."""

    REACHED = "reached"
    UNREACHABLE = "unreachable"
    SILENT = "silent"


class Hold(StrEnum):
    """Who keeps a queue as it is."""

    OPEN = "open"
    CONTROLLER = "controller"
    OTHERS = "others"
    UNMANAGED = "unmanaged"


class QueueState(StrEnum):
    """What a queue does."""

    RUNNING = "running"
    OPEN = "open"
    PAUSED = "paused"


class ImmichQueueView(Camel):
    """A queue of an Immich server."""

    name: str
    state: QueueState = Field(description="running: it has active jobs, also while it is paused.")
    hold: Hold = Field(
        description="Who keeps it: open, nobody; controller, until its turn; others, it is left alone; "
        "unmanaged, never touched."
    )
    active: int = Field(description="Jobs that run.")
    waiting: int = Field(description="Jobs that could start.")
    delayed: int = Field(description="Jobs that start later.")
    failed: int
    leased: bool = Field(description="It holds a lease, so it may run.")
    waits_for_lease: bool = Field(description="It has asked for a lease; its job says why it waits.")
    stalled: bool = Field(description="It was open for long, and nothing of it started.")


class ImmichServerView(Camel):
    """An Immich server whose queues run by leases."""

    name: str
    address: str | None = Field(description="null: no controller has reported since the scheduler began.")
    version: str | None
    reach: Reach = Field(
        description="unreachable: its controller does not reach it; silent: its controller does not report."
    )
    error: str | None = Field(description="Why its controller does not reach it.")
    reached_at: Instant | None
    reported_at: Instant | None
    paused: bool = Field(description="Its controller asks nothing of it: all stays as it is.")
    paused_at: Instant | None
    paused_by: str | None
    limit: int = Field(description="Queues that run at once at most; 0 holds all back.")
    limit_is_own: bool = Field(description="The limit is that of the controller's settings.")
    interval: float | None = Field(
        description="Seconds between two looks of the controller; null: it does not say."
    )
    interval_is_own: bool = Field(description="The interval is that of the controller's settings.")
    order: list[str] = Field(description="The queues, most urgent first; others come after, by name.")
    order_is_own: bool = Field(description="The order is that of the controller's settings.")
    applied: bool = Field(description="The controller goes by all this.")
    queues: list[ImmichQueueView] = Field(description="As last seen, most urgent first, unmanaged ones last.")


class ImmichServers(Camel):
    """Every Immich server."""

    data: list[ImmichServerView] = Field(description="By name.")


class ImmichChange(Body):
    """What to decide anew; what is left out stays. null takes what the controller's settings say."""

    model_config = ConfigDict(json_schema_extra={"example": {"order": ["smartSearch", "sidecar"]}})

    server: Annotated[str, Field(max_length=64, description="Its name; not needed where there is one.")] = ""
    paused: bool = Field(default=False, description="Ask nothing of the server, or go on.")
    limit: int | None = Field(
        default=None, ge=0, le=LIMIT_MAX, description="Queues that run at once; 0 holds all back."
    )
    interval: float | None = Field(
        default=None, ge=0.5, le=3600, description="Seconds between two looks of the controller."
    )
    order: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=QUEUES_MAX,
        description="The queues, most urgent first; others come after, by name.",
    )


def changed_to_wire(change: ImmichChange) -> ChangeImmichServerRequest:
    """Return what to decide anew."""
    said = change.model_fields_set
    return ChangeImmichServerRequest(
        name=change.server,
        paused=change.paused if "paused" in said else None,
        limit=change.limit,
        clear_limit="limit" in said and change.limit is None,
        interval_s=change.interval,
        clear_interval="interval" in said and change.interval is None,
        order=change.order or (),
        clear_order="order" in said and change.order is None,
    )


def server_view(server: ImmichServer) -> ImmichServerView:
    """Return a server."""
    reach = Reach.SILENT if server.silent else Reach.UNREACHABLE if server.error else Reach.REACHED
    return ImmichServerView(
        name=server.name,
        address=server.address or None,
        version=server.version or None,
        reach=reach,
        error=server.error or None,
        reached_at=instant_or_none(server.reached_at),
        reported_at=instant_or_none(server.reported_at),
        paused=server.rules.paused,
        paused_at=instant_or_none(server.paused_at),
        paused_by=server.paused_by or None,
        limit=server.rules.limit,
        limit_is_own=not server.limit_decided,
        interval=server.rules.interval_s or None,
        interval_is_own=not server.interval_decided,
        order=list(server.rules.order),
        order_is_own=not server.order_decided,
        applied=server.applied,
        queues=[_queue_view(queue) for queue in server.queues],
    )


def _queue_view(queue: ImmichQueue) -> ImmichQueueView:
    idle = QueueState.PAUSED if queue.paused else QueueState.OPEN
    return ImmichQueueView(
        name=queue.name,
        state=QueueState.RUNNING if queue.active else idle,
        hold=Hold(ImmichHold.Name(queue.hold).removeprefix("IMMICH_HOLD_").lower()),
        active=queue.active,
        waiting=queue.waiting,
        delayed=queue.delayed,
        failed=queue.failed,
        leased=queue.leased,
        waits_for_lease=queue.asks,
        stalled=queue.stalled,
    )
