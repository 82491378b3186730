"""Immich servers on the wire, there and back."""

from typing import Final

from callsheet.v1 import immich_service_pb2 as wire
from callsheet_scheduler.domain.immich import Decided, Hold, Queue, Report, Rules
from callsheet_scheduler.rpc.convert import instant_to_wire
from callsheet_scheduler.use_cases.immich import Change, Server

TEXT_MAX: Final = 500
"""Characters of an address, a version or a reason that are kept."""
BY_MAX: Final = 64
NAME_MAX: Final = 100

_HOLDS: Final = {hold.value: hold for hold in Hold}


def server_to_wire(server: Server) -> wire.ImmichServer:
    """Return a server."""
    decided, report = server.decided, server.report
    told = wire.ImmichServer(
        name=server.name,
        silent=server.silent,
        limit_decided=decided.limit is not None,
        order_decided=decided.order is not None,
        interval_decided=decided.interval_s is not None,
        paused_at=instant_to_wire(decided.paused_at),
        paused_by=decided.paused_by,
    )
    if report is None:
        told.rules.paused = decided.paused_at is not None
        told.rules.limit = decided.limit or 0
        told.rules.order.extend(decided.order or ())
        told.rules.interval_s = decided.interval_s or 0.0
        return told
    rules = decided.over(report.own)
    seen = wire.ImmichServer(
        address=report.address,
        version=report.version,
        error=report.error,
        reported_at=instant_to_wire(report.at),
        reached_at=instant_to_wire(report.reached_at),
        rules=wire.ImmichRules(
            paused=rules.paused, limit=rules.limit, order=rules.order, interval_s=rules.interval_s
        ),
        applied=not server.silent and rules == report.in_force,
        queues=[_queue_to_wire(queue) for queue in _ranked(report.queues, rules)],
    )
    told.MergeFrom(seen)
    return told


def report_from_wire(request: wire.ReportImmichServerRequest, *, now: float) -> Report:
    """Return what a controller says."""
    reached = request.HasField("reached_at")
    return Report(
        at=now,
        controller=request.controller[:BY_MAX],
        address=request.address[:TEXT_MAX],
        version=request.version[:TEXT_MAX],
        reached_at=min(max(0.0, request.reached_at.ToMilliseconds() / 1000), now) if reached else None,
        error=request.error[:TEXT_MAX],
        own=_rules_from_wire(request.own),
        in_force=_rules_from_wire(request.in_force),
        queues=tuple(_queue_from_wire(queue) for queue in request.queues),
    )


def change_from_wire(request: wire.ChangeImmichServerRequest) -> Change:
    """Return what to decide anew."""
    return Change(
        paused=request.paused if request.HasField("paused") else None,
        limit=request.limit if request.HasField("limit") else None,
        clear_limit=request.clear_limit,
        order=tuple(request.order),
        clear_order=request.clear_order,
        interval_s=request.interval_s if request.HasField("interval_s") else None,
        clear_interval=request.clear_interval,
        by=request.requested_by[:BY_MAX],
    )


def decided_to_wire(decided: Decided) -> wire.ReportImmichServerResponse:
    """Return what a controller is to go by."""
    return wire.ReportImmichServerResponse(
        paused=decided.paused_at is not None,
        limit=decided.limit,
        order=decided.order or (),
        interval_s=decided.interval_s,
    )


def _ranked(queues: tuple[Queue, ...], rules: Rules) -> list[Queue]:
    def rank(queue: Queue) -> tuple[bool, int, str]:
        place = rules.order.index(queue.name) if queue.name in rules.order else len(rules.order)
        return queue.hold is Hold.UNMANAGED, place, queue.name

    return sorted(queues, key=rank)


def _rules_from_wire(rules: wire.ImmichRules) -> Rules:
    return Rules(
        paused=rules.paused, limit=rules.limit, order=tuple(rules.order), interval_s=rules.interval_s
    )


def _queue_from_wire(queue: wire.ImmichQueue) -> Queue:
    return Queue(
        name=queue.name[:NAME_MAX],
        hold=_HOLDS.get(queue.hold, Hold.OPEN),
        paused=queue.paused,
        active=queue.active,
        waiting=queue.waiting,
        delayed=queue.delayed,
        failed=queue.failed,
        leased=queue.leased,
        asks=queue.asks,
        stalled=queue.stalled,
    )


def _queue_to_wire(queue: Queue) -> wire.ImmichQueue:
    return wire.ImmichQueue(
        name=queue.name,
        hold=wire.ImmichHold.ValueType(queue.hold),
        paused=queue.paused,
        active=queue.active,
        waiting=queue.waiting,
        delayed=queue.delayed,
        failed=queue.failed,
        leased=queue.leased,
        asks=queue.asks,
        stalled=queue.stalled,
    )
