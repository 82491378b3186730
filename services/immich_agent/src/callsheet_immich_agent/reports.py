"""Tells the scheduler how a server is, and runs its queues as was decided there."""

import asyncio
import logging
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import grpc

from callsheet.channel import LeaderChannel
from callsheet.errors import StateError
from callsheet.v1.immich_service_pb2 import (
    ImmichHold,
    ImmichQueue,
    ImmichRules,
    ReportImmichServerRequest,
    ReportImmichServerResponse,
)
from callsheet.v1.immich_service_pb2_grpc import ImmichServiceStub
from callsheet_immich_agent.agent import Agent, Sight
from callsheet_immich_agent.leases import Stay
from callsheet_immich_agent.policy import Hold, Leases, QueueSeen, Rules

log = logging.getLogger(__name__)

REPORT_S: Final = 2.0
"""Seconds between two reports: so soon holds what was decided."""
CALL_DEADLINE_S: Final = 5.0

_HOLDS: Final = {
    Hold.OPEN: ImmichHold.IMMICH_HOLD_OPEN,
    Hold.OURS: ImmichHold.IMMICH_HOLD_CONTROLLER,
    Hold.THEIRS: ImmichHold.IMMICH_HOLD_OTHERS,
}


class Reports:
    """Speaks of one server. Until the scheduler has said how it is to be run, it is left alone."""

    def __init__(self, name: str, address: str, own: Rules, channel: LeaderChannel, stay: Stay) -> None:
        """Prepare to report; *own* are the rules of the settings."""
        self._name = name
        self._controller = ""
        self._address = _plain(address)
        self._own = own
        self._stay = stay
        self._immich = ImmichServiceStub(channel)
        self._said = ""

    async def run(self, agent: Agent) -> None:
        """Report until cancelled, then say that the controller ends.

        Raises:
            StateError: Another controller has taken over.
        """
        self._controller = agent.identity
        try:
            while True:
                await self._report(agent)
                await asyncio.sleep(REPORT_S)
        finally:
            await self._leave()

    async def _report(self, agent: Agent) -> None:
        in_force = replace(agent.rules, paused=True) if agent.stands_by else agent.rules
        request = report(self._name, self._address, agent.sight, self._own, in_force, self._stay.leases)
        request.controller = self._controller
        try:
            answer = await self._immich.ReportImmichServer(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            self._say(f"the scheduler does not say how to run the queues: {error.details()}")
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                steered = not agent.stands_by
                await agent.stand_by()
                if steered:
                    raise StateError(f"ends here: {error.details()}") from None
            return
        self._say("")
        if agent.stands_by:
            agent.stands_by = False
            self._stay.admit()
            self._stay.changed.set()
            log.info("steers the server")
        rules = ruled(answer, self._own)
        if rules != agent.rules:
            agent.rules = rules
            self._stay.resize(rules.limit)
            self._stay.changed.set()
            log.info("%s; at most %d at once", "left alone" if rules.paused else "steers", rules.limit)

    async def _leave(self) -> None:
        try:
            leaving = ReportImmichServerRequest(name=self._name, controller=self._controller, leaving=True)
            await self._immich.ReportImmichServer(leaving, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            log.info("the scheduler was not told of the end: %s", error.details())

    def _say(self, what: str) -> None:
        if what and what != self._said:
            log.warning("%s", what)
        self._said = what


def ruled(answer: ReportImmichServerResponse, own: Rules) -> Rules:
    """Return the rules that hold: *own*, and what was decided over them."""
    return replace(
        own,
        paused=answer.paused,
        limit=answer.limit if answer.HasField("limit") else own.limit,
        order=tuple(answer.order) or own.order,
        interval_s=answer.interval_s if answer.HasField("interval_s") else own.interval_s,
    )


def report(
    name: str, address: str, sight: Sight, own: Rules, in_force: Rules, leases: Leases
) -> ReportImmichServerRequest:
    """Return what is told of a server."""
    request = ReportImmichServerRequest(
        name=name,
        address=address,
        version=sight.version,
        error=sight.error,
        own=_rules(own),
        in_force=_rules(in_force),
        queues=[_queue(queue, sight, in_force, leases) for queue in sight.queues],
    )
    if sight.reached_at is not None:
        request.reached_at.FromDatetime(sight.reached_at)
    return request


def _rules(rules: Rules) -> ImmichRules:
    return ImmichRules(paused=rules.paused, limit=rules.limit, order=rules.order, interval_s=rules.interval_s)


def _queue(queue: QueueSeen, sight: Sight, rules: Rules, leases: Leases) -> ImmichQueue:
    hold = _HOLDS[sight.memory.holds.get(queue.name, Hold.OPEN)] if queue.paused else _HOLDS[Hold.OPEN]
    return ImmichQueue(
        name=queue.name,
        hold=ImmichHold.IMMICH_HOLD_UNMANAGED if queue.name in rules.unmanaged else hold,
        paused=queue.paused,
        active=queue.active,
        waiting=queue.due,
        delayed=queue.delayed,
        failed=queue.failed,
        leased=queue.name in leases.bound,
        asks=queue.name in leases.asked,
        stalled=queue.name in sight.memory.stalled,
    )


def _plain(address: str) -> str:
    """Return an address without the name and password that may stand in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
