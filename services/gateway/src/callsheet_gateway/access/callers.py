"""Who a request comes from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Request

from callsheet_gateway.access.auth import Role

CALLER_KEY: Final = "callsheet.caller"
"""Where the scope of a request has its caller."""


class Way(StrEnum):
    """By which kind of credential a caller is known."""

    ADMINISTRATOR = "administrator"
    KEY = "key"
    JWT = "jwt"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person or a program, as its credential says."""

    name: str
    """Unique among callers: admin, key:NAME, jwt:SUBJECT or oidc:SUBJECT; empty for nobody."""
    role: Role
    way: Way
    mark: str = ""
    """What the credential is found by again: the id of a key, the fingerprint of the admin token."""
    expires_at: float | None = None
    """Until when the credential is good; None without an end."""

    @property
    def sees_all(self) -> bool:
        """Whether jobs of others are shown to it."""
        return self.role >= Role.OPERATOR


NOBODY: Final = Caller(name="", role=Role.PUBLIC, way=Way.NONE)
"""Who calls what needs no credential."""


def caller_of(request: Request) -> Caller:
    """Return who calls; the route has let it pass."""
    caller: object = request.scope.get(CALLER_KEY)
    if not isinstance(caller, Caller):
        raise TypeError("the route has no guard")
    return caller


async def _depended_on(request: Request) -> Caller:
    """As ``caller_of``; a function that is not async would cost each request a change of threads."""
    return caller_of(request)


RequestCaller = Annotated[Caller, Depends(_depended_on)]
