"""Sessions of the page, as REST has them."""

from typing import Final

from pydantic import ConfigDict, Field, JsonValue

from callsheet_gateway.access.auth import RoleName
from callsheet_gateway.access.callers import Caller, Way
from callsheet_gateway.schemas.shared import Body, Camel, Instant, instant_of

SESSION_EXAMPLE: Final[dict[str, JsonValue]] = {
    "name": "admin",
    "role": "SUPER_ADMIN",
    "way": "administrator",
    "expiresAt": "2026-02-13T22:30:00.000Z",
    "csrfToken": "wFYyE5dPqgUwVvY1Vn5mX0hZ8bC3k4m0iT9sJr7aN2Q",
}


class SignIn(Body):
    """A credential."""

    model_config = ConfigDict(json_schema_extra={"example": {"token": "cs_4fJ0…"}})

    token: str = Field(
        min_length=1, max_length=16_384, description="The administrator's token, an API key or a JWT."
    )


class SessionView(Camel):
    """Who is signed in."""

    name: str = Field(description="admin, key:NAME, jwt:SUBJECT or oidc:SUBJECT.")
    role: RoleName
    way: Way = Field(description="The kind of credential.")
    expires_at: Instant | None = Field(
        description="When the session, or without one the credential, ends; null without an end."
    )
    csrf_token: str | None = Field(
        description="For the header X-CSRF-Token of what changes something; null without a session."
    )


def session_view(caller: Caller, *, expires_at: float | None, csrf_token: str | None) -> SessionView:
    """Return who is signed in."""
    return SessionView(
        name=caller.name,
        role=RoleName(caller.role.name),
        way=caller.way,
        expires_at=None if expires_at is None else instant_of(expires_at),
        csrf_token=csrf_token,
    )
