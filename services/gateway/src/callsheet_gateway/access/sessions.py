"""Sessions of the page: sealed into a cookie, so that every gateway with the same secret knows them."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from callsheet.errors import UnauthenticatedError
from callsheet_gateway.access.callers import Caller

OVER: Final = "the session is over; sign in again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A stay on the page."""

    id: str
    caller: Caller
    expires_at: float


_SESSION: Final = TypeAdapter(Session)


class Sessions:
    """Seals and opens sessions."""

    def __init__(self, secret: bytes, *, life_s: float) -> None:
        self._cookie_key = hmac.digest(secret, b"callsheet session cookie", "sha256")
        self._csrf_key = hmac.digest(secret, b"callsheet session csrf", "sha256")
        self._life_s = life_s

    def begin(self, caller: Caller, *, now: float) -> Session:
        """Return a new session; it ends with the caller's credential at the latest."""
        ends = [now + self._life_s, *([] if caller.expires_at is None else [caller.expires_at])]
        return Session(id=secrets.token_urlsafe(16), caller=caller, expires_at=min(ends))

    def sealed(self, session: Session) -> str:
        """Return a session as the value of a cookie."""
        said = base64.urlsafe_b64encode(_SESSION.dump_json(session)).rstrip(b"=")
        return f"{said.decode()}.{_mac(self._cookie_key, said)}"

    def opened(self, cookie: str, *, now: float) -> Session:
        """Return the session of a cookie.

        Raises:
            UnauthenticatedError: It is altered or expired.
        """
        said, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode(), _mac(self._cookie_key, said.encode()).encode()):
            raise UnauthenticatedError(OVER)
        try:
            session = _SESSION.validate_json(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        except (binascii.Error, ValidationError) as error:  # sealed by another version
            raise UnauthenticatedError(OVER) from error
        if session.expires_at <= now:
            raise UnauthenticatedError(OVER)
        return session

    def csrf_token(self, session: Session) -> str:
        """Return what requests of this session that change something have to carry."""
        return _mac(self._csrf_key, session.id.encode())

    def is_csrf_token(self, session: Session, token: str) -> bool:
        """Return whether *token* is that of this session."""
        return hmac.compare_digest(self.csrf_token(session).encode(), token.encode())


def _mac(key: bytes, said: bytes) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, said, "sha256")).rstrip(b"=").decode()
