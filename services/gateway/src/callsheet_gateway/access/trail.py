"""The audit trail: what is noted of a request, and how the notes reach the scheduler."""

import asyncio
import logging
from collections import deque
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.client import Client
from callsheet.errors import CallsheetError, InvalidError, UnavailableError
from callsheet.ids import new_job_id
from callsheet.service.clock import Clock
from callsheet.service.plain import plain_line
from callsheet.v1.access_service_pb2 import AuditEntry
from callsheet.within import within

log = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
"""Entries that wait to be written; while so many do, nothing is let in that would add one."""
AT_ONCE: Final = 500
GATHER_S: Final = 0.05
"""How long entries are gathered, to be written together."""
AGAIN_S: Final = 1.0
"""How long a scheduler that does not answer is left alone."""
CLOSE_S: Final = 2.0
"""How long the last entries may take when the gateway stops."""
TEXT_MAX: Final = 1000
"""Characters of what was asked for and sent that are kept."""
SECRET_BODIES: Final = frozenset({"/api/session"})
"""Routes whose bodies hold secrets, which are not kept."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
UNAUTHENTICATED: Final = 401
TOO_MANY: Final = 429


def is_safe(method: str) -> bool:
    """Return whether a method changes nothing."""
    return method in SAFE_METHODS


def is_audited(method: str, status: int, *, wrong: bool) -> bool:
    """Return whether a request is put on record: what changes something or tried to, and wrong credentials.

    What was refused for its number, or for want of a credential, is not: it would be without bounds.

    Args:
        method: Of the request.
        status: Of the answer.
        wrong: Whether a credential was shown that is not good.
    """
    if status == UNAUTHENTICATED:
        return wrong
    return status != TOO_MANY and not is_safe(method)


class Trail:
    """Entries on their way."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._waiting: deque[AuditEntry] = deque()
        self._telling: asyncio.Task[None] | None = None

    def check_room(self) -> None:
        """Make sure that one more entry can be kept.

        Raises:
            UnavailableError: It cannot: what is done would not be on record.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise UnavailableError("the audit trail cannot be written now, so nothing is changed")

    def note(
        self, *, actor: str, address: str, action: str, target: str, status: int, said: str = ""
    ) -> None:
        """Put down what was done just now."""
        at = Timestamp()
        at.FromDatetime(self._clock.now())
        if len(self._waiting) >= WAITING_MAX:
            return
        self._waiting.append(
            AuditEntry(
                id=new_job_id(),
                at=at,
                actor=actor,
                address=address,
                action=action,
                target=_short(target),
                status=status,
                said=_short(said),
            )
        )
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Write what waits, if that can be done soon."""
        if self._telling is None:
            return
        try:
            async with within(CLOSE_S):
                await self._telling
        except TimeoutError:
            log.error(  # noqa: TRY400 -- the sentence says all
                "entries of the audit trail were lost", extra={"entries": len(self._waiting)}
            )

    async def _tell(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
            try:
                await self._client.append_audit(batch)
            except InvalidError as error:
                log.error(  # noqa: TRY400 -- the sentence says all
                    "entries of the audit trail were refused",
                    extra={"entries": len(batch), "reason": error.message},
                )
            except CallsheetError as error:
                log.warning("the audit trail waits", extra={"reason": error.message})
                await asyncio.sleep(AGAIN_S)
                continue
            for _ in batch:
                self._waiting.popleft()


def _short(text: str) -> str:
    line = plain_line(text)
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"
