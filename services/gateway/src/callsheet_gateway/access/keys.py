"""API keys as the scheduler has them, remembered for seconds."""

from typing import Final

from callsheet.api_keys import SecretKey
from callsheet.client import Client
from callsheet.errors import NotFoundError, OverloadedError, UnauthenticatedError
from callsheet.service.clock import Clock
from callsheet.v1.access_service_pb2 import ApiKey
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.callers import Caller, Way
from callsheet_gateway.access.remembered import Remembered

GONE: Final = "the key is not known, revoked or expired; ask an administrator for another"

Name = bytes | str
"""A hash or an id."""


class Keys:
    """Knows who shows a key."""

    def __init__(self, client: Client, clock: Clock, *, fresh_s: float, stale_s: float) -> None:
        """Prepare to ask.

        Args:
            client: Speaks with the scheduler.
            clock: For the age of answers, and the end of keys.
            fresh_s: How long an answer counts.
            stale_s: How long it counts while the scheduler does not answer.
        """
        self._client = client
        self._clock = clock
        self._known: Remembered[Name, ApiKey | None] = Remembered(
            self._ask, clock, fresh_s=fresh_s, stale_s=stale_s
        )

    async def caller(self, secret: SecretKey, *, refused_for_s: float) -> Caller:
        """Return who shows a key.

        Args:
            secret: The key.
            refused_for_s: Unless 0, a key that is not remembered is not asked for; for how long.

        Raises:
            UnauthenticatedError: The key is not good.
            OverloadedError: It was not asked for.
            UnavailableError: The scheduler does not answer, and has said nothing lately.
        """
        if refused_for_s and secret.sha256 not in self._known:
            raise OverloadedError("too many wrong credentials from this address", retry_after_s=refused_for_s)
        return self._checked(await self._known.answer(secret.sha256))

    async def still(self, caller: Caller) -> Caller:
        """Return the caller of a session that was begun with a key, as the key is now.

        Raises:
            UnauthenticatedError: The key is not good any more.
            UnavailableError: As above.
        """
        return self._checked(await self._known.answer(caller.mark))

    def forget(self, key_id: str) -> None:
        """Ask again before a key is let in."""
        self._known.forget(lambda key: key is not None and key.id == key_id)

    async def close(self) -> None:
        """Wait for no answer any more."""
        await self._known.close()

    def _checked(self, key: ApiKey | None) -> Caller:
        if key is None or key.HasField("revoked_at"):
            raise UnauthenticatedError(GONE)
        expires_at = key.expires_at.ToNanoseconds() / 1e9 if key.HasField("expires_at") else None
        if expires_at is not None and expires_at <= self._clock.now().timestamp():
            raise UnauthenticatedError(GONE)
        return Caller(
            name=f"key:{key.name}", role=Role(key.role), way=Way.KEY, mark=key.id, expires_at=expires_at
        )

    async def _ask(self, name: Name) -> ApiKey | None:
        try:
            if isinstance(name, bytes):
                return await self._client.resolve_key(sha256=name)
            return await self._client.resolve_key(key_id=name)
        except NotFoundError:
            return None
