"""Puts on record what people do over gRPC, and who says to have done it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import grpc
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from callsheet.acting import ACTOR_KEY, RECORDED_KEY
from callsheet.errors import CallsheetError
from callsheet.identities import Role
from callsheet.ids import new_job_id
from callsheet.service.clock import Clock
from callsheet.service.peers import caller
from callsheet.service.plain import plain_line
from callsheet.service.server import Context, Unary
from callsheet.wire_errors import status_of
from callsheet_scheduler.store.access import AuditRow
from callsheet_scheduler.use_cases.access import Access

log = logging.getLogger(__name__)

ACTS: Final[Mapping[str, frozenset[str]]] = {
    "JobService": frozenset(
        {"CancelJob", "RetryJob", "PauseJob", "ResumeJob", "PrioritizeJob", "ActOnJobs", "ChangeJobType"}
    ),
    "FleetService": frozenset({"DrainWorker", "ResumeWorker", "PauseQueue", "ResumeQueue", "LimitQueue"}),
    "LibraryService": frozenset({"CreateCollection"}),
    "ScheduleService": frozenset(
        {
            "AddSchedule",
            "ChangeSchedule",
            "PauseSchedule",
            "ResumeSchedule",
            "RunSchedule",
            "RemoveSchedule",
        }
    ),
    "ImmichService": frozenset({"ChangeImmichServer"}),
    "AccessService": frozenset({"CreateApiKey", "RevokeApiKey", "ChangeApiKey", "EndSession"}),
}
"""What is put on record, by service. Submissions are not: they come by the thousand."""
NAMELESS: Final = "grpc"
"""Who acted, where the caller does not say."""
SECRETS: Final = frozenset({"sha256"})
"""Fields that are not kept."""
SAID_MAX: Final = 1000
"""Characters of a request that are kept."""
HTTP: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}
"""What REST would have answered."""
DONE: Final = 200
FAULT: Final = 500
CUT_OFF: Final = HTTP[grpc.StatusCode.UNAVAILABLE]
"""Whether it took effect is unknown."""


class OnRecord:
    """Surrounds the methods that people act by."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def around(self, method: str, behaviour: Unary) -> Unary:
        """Return *behaviour* as it is, or so that each call is on record before it is answered.

        Args:
            method: Its path, such as "/callsheet.v1.JobService/CancelJob".
            behaviour: What answers it.
        """
        service, _, name = method.rpartition(".")[2].partition("/")
        if name not in ACTS.get(service, ()):
            return behaviour

        async def recorded(request: Message, context: Context) -> Message:
            status, whose = CUT_OFF, _Caller.of(context)
            try:
                answer = await behaviour(request, context)
                status = DONE
            except CallsheetError as error:
                status = HTTP.get(status_of(error)[0], FAULT)
                raise
            except Exception:
                status = FAULT
                raise
            finally:
                if not whose.records:
                    await self._note(method, request, whose, status)
            return answer

        return recorded

    async def _note(self, method: str, request: Message, whose: "_Caller", status: int) -> None:
        entry = AuditRow(
            id=new_job_id(),
            at=self._clock.now().timestamp(),
            actor=plain_line(whose.actor)[:SAID_MAX],
            address=whose.address,
            action="gRPC " + method.rpartition(".")[2],
            target=method,
            status=status,
            said=said_of(request),
        )
        try:
            await self._access.append_audit([entry])
        except CallsheetError as error:
            log.log(
                logging.ERROR if status == DONE else logging.WARNING,
                "an act is not on the audit trail",
                extra={
                    "action": entry.action,
                    "actor": entry.actor,
                    "status": status,
                    "said": entry.said,
                    "reason": error.message,
                },
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Whose call it is. Asked before it is served: gRPC has taken a call away that has ended meanwhile."""

    actor: str
    address: str
    records: bool
    """It is a gateway, which keeps the record itself."""

    @classmethod
    def of(cls, context: Context) -> "_Caller":
        """Return whose call *context* is of, which has to be under way."""
        pairs = context.invocation_metadata() or ()
        headers = {key: value for key, value in pairs if isinstance(value, str)}
        identity = caller(context)
        actor = headers.get(ACTOR_KEY, "") or NAMELESS
        return cls(
            actor=actor if identity is None else f"{identity.role}:{identity.name} {actor}",
            address=address_of(context.peer()),
            records=RECORDED_KEY in headers and (identity is None or identity.role is Role.GATEWAY),
        )


def address_of(peer: str) -> str:
    """Return the network address of a peer as gRPC names it; empty for one that has none.

    Source:
        gRPC's name syntax, doc/naming.md: ipv4:address:port, ipv6:[address]:port.
    """
    family, _, place = unquote(peer).partition(":")
    return place.rpartition(":")[0].strip("[]") if family in {"ipv4", "ipv6"} else ""


def said_of(request: Message) -> str:
    """Return a request as JSON without secrets, cut where it is long; empty where it says nothing."""
    kept = type(request)()
    kept.CopyFrom(request)
    for name in SECRETS & set(kept.DESCRIPTOR.fields_by_name):
        kept.ClearField(name)
    if not kept.ByteSize():
        return ""
    line = plain_line(MessageToJson(kept, indent=None))
    return line if len(line) <= SAID_MAX else line[: SAID_MAX - 1] + "…"
