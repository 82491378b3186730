"""Finds out who shows a credential: the administrator's token, an API key, or a JWT."""

import hmac
from hashlib import sha256
from typing import Final

from callsheet.api_keys import parse_key
from callsheet.errors import UnauthenticatedError
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.callers import Caller, Way
from callsheet_gateway.access.jwts import Jwts, looks_like_jwt
from callsheet_gateway.access.keys import Keys

UNKNOWN: Final = "the token is not known here, or no longer; read it again from where it was given out"
MISSING: Final = (
    "send the header Authorization: Bearer with a token; the administrator's lies in "
    "the file that CALLSHEET_ADMIN_TOKEN_FILE names, DATA/admin-token after make run"
)


class WrongCredentialError(UnauthenticatedError):
    """A credential was shown, and it is not good."""


class Credentials:
    """Knows the administrator's token, as a hash, and whom to ask about others."""

    def __init__(self, admin_token: str, *, keys: Keys, jwts: Jwts) -> None:
        self._admin = _digest(admin_token)
        self._keys = keys
        self._jwts = jwts

    async def caller(self, token: str, *, refused_for_s: float = 0.0) -> Caller:
        """Return who shows *token*.

        Args:
            token: The credential.
            refused_for_s: Unless 0, the scheduler is not asked about keys that are not remembered; so long.

        Raises:
            WrongCredentialError: It is not good.
            DeniedError: It is good, and gives no role.
            OverloadedError: It was not asked about.
            UnavailableError: Who would know it does not answer.
        """
        if hmac.compare_digest(_digest(token), self._admin):
            return Caller(name="admin", role=Role.SUPER_ADMIN, way=Way.ADMINISTRATOR, mark=self._admin_mark())
        key = parse_key(token)
        try:
            if key is not None:
                return await self._keys.caller(key, refused_for_s=refused_for_s)
            if looks_like_jwt(token):
                return await self._jwts.caller(token)
        except UnauthenticatedError as error:
            raise WrongCredentialError(error.message) from error
        raise WrongCredentialError(UNKNOWN)

    async def still(self, caller: Caller) -> Caller:
        """Return the caller of a session as its credential has it now.

        Raises:
            UnauthenticatedError: The credential that it signed in with is not good any more.
            UnavailableError: The scheduler does not say.
        """
        match caller.way:
            case Way.KEY:
                return await self._keys.still(caller)
            case Way.ADMINISTRATOR if caller.mark != self._admin_mark():
                raise UnauthenticatedError(UNKNOWN)
            case _:
                return caller

    def forget_key(self, key_id: str) -> None:
        """Let a key in only after the scheduler was asked again."""
        self._keys.forget(key_id)

    def _admin_mark(self) -> str:
        return sha256(self._admin).hexdigest()[:16]


def token_of(authorization: str) -> str:
    """Return the token of an Authorization header.

    Raises:
        UnauthenticatedError: It has none.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(MISSING)
    return token.strip()


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
