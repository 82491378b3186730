"""Which sessions of the page were ended, at whichever gateway that was."""

import math
from datetime import UTC, datetime
from typing import Final

from callsheet.client import Client
from callsheet.errors import UnauthenticatedError, UnavailableError
from callsheet.service.clock import Clock
from callsheet.within import within
from callsheet_gateway.access.remembered import Remembered
from callsheet_gateway.access.sessions import OVER, Session

ASKED_S: Final = 2.0
"""How long the scheduler is waited for."""


class Endings:
    """Tells the scheduler of sessions that end, and hears from it of others."""

    def __init__(self, client: Client, clock: Clock, *, fresh_s: float) -> None:
        """Prepare to ask.

        Args:
            client: Speaks with the scheduler.
            clock: For the age of answers.
            fresh_s: How long an answer counts; while the scheduler does not answer, the last one does.
        """
        self._client = client
        self._clock = clock
        self._ended: Remembered[str, bool] = Remembered(
            client.is_session_ended, clock, fresh_s=fresh_s, stale_s=math.inf
        )

    async def end(self, session: Session) -> None:
        """End a session: here at once, elsewhere when its cookie is next asked about.

        Raises:
            UnavailableError: The scheduler does not answer; the session goes on.
        """
        at = self._clock.monotonic()
        expires_at = datetime.fromtimestamp(session.expires_at, UTC)
        await self._client.end_session(session.id, expires_at=expires_at)
        self._ended.note(session.id, answer=True, at=at)

    async def check(self, session: Session) -> None:
        """Refuse a session that was ended.

        One that nobody can be asked about goes on: without a scheduler there is next to nothing to be seen.

        Raises:
            UnauthenticatedError: It was.
        """
        try:
            async with within(ASKED_S):
                ended = await self._ended.answer(session.id)
        except (UnavailableError, TimeoutError):
            return
        if ended:
            raise UnauthenticatedError(OVER)

    async def close(self) -> None:
        """Wait for no answer any more."""
        await self._ended.close()
