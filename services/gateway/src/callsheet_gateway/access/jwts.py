"""JSON Web Tokens: signed with a secret of our own, or by an OpenID Connect issuer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import jwt

from callsheet.errors import DeniedError, UnauthenticatedError
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.callers import Caller, Way
from callsheet_gateway.access.issuer import Issuer

OWN_ALGORITHM: Final = "HS256"
"""For our own secret alone; an issuer's keys are never used with it."""
REQUIRED: Final = ("exp", "aud", "sub")
SUBJECT_MAX: Final = 200
JWT_PARTS: Final = 3

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleClaim:
    """Where a token says what its owner may do."""

    path: str = "role"
    """A claim, or the way to one with dots."""
    values: Mapping[str, Role] = field(default_factory=dict[str, Role])
    """What each value means; empty where values are names of roles."""

    def role_of(self, claims: Claims) -> Role:
        """Return the highest role that a token gives.

        Raises:
            DeniedError: It gives none.
        """
        found = claims.get(self.path)
        if found is None:
            found = _at(claims, self.path.split("."))
        said = cast("list[object]", found) if isinstance(found, list) else [found]
        roles = [role for one in said if isinstance(one, str) and (role := self._meaning(one)) is not None]
        if not roles:
            raise DeniedError(f"the token gives no role here: its claim {self.path} has none that is known")
        return max(roles)

    def _meaning(self, value: str) -> Role | None:
        if self.values:
            return self.values.get(value)
        return ROLES_BY_NAME.get(value)


ROLES_BY_NAME: Final = {role.name: role for role in Role if role is not Role.PUBLIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTokens:
    """Tokens that are signed with a secret which this gateway has."""

    secret: str = field(repr=False)
    audience: str
    issuer: str
    """Empty for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwts:
    """Checks tokens of both kinds."""

    roles: RoleClaim
    leeway_s: float
    own: OwnTokens | None = None
    issuer: Issuer | None = None

    async def caller(self, token: str) -> Caller:
        """Return whose token it is.

        Raises:
            UnauthenticatedError: The token is not good.
            DeniedError: It is good and gives no role.
            UnavailableError: The issuer's keys cannot be had.
        """
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            if algorithm == OWN_ALGORITHM:
                return self._caller(self._own_claims(token), "jwt")
            return self._caller(await self._issued_claims(token), "oidc")
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(f"the JWT is not good: {error}") from error

    def _own_claims(self, token: str) -> Claims:
        if self.own is None:
            raise jwt.InvalidTokenError("tokens of the algorithm HS256 are not taken here")
        return jwt.decode(
            token,
            self.own.secret,
            algorithms=[OWN_ALGORITHM],
            audience=self.own.audience,
            issuer=self.own.issuer or None,
            leeway=self.leeway_s,
            options={"require": [*REQUIRED, *(["iss"] if self.own.issuer else [])]},
        )

    async def _issued_claims(self, token: str) -> Claims:
        if self.issuer is None:
            raise jwt.InvalidTokenError("no issuer is known here")
        key = await self.issuer.key_for(jwt.get_unverified_header(token))
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self.issuer.audience,
            issuer=self.issuer.address,
            leeway=self.leeway_s,
            options={"require": [*REQUIRED, "iss"]},
        )

    def _caller(self, claims: Claims, kind: str) -> Caller:
        subject, expires_at = claims["sub"], claims["exp"]
        if not isinstance(subject, str) or not (0 < len(subject) <= SUBJECT_MAX and subject.isprintable()):
            raise jwt.InvalidTokenError(f"its subject must be 1 to {SUBJECT_MAX} printable characters")
        if not isinstance(expires_at, int | float):
            raise jwt.InvalidTokenError("its claim exp is no number")
        return Caller(
            name=f"{kind}:{subject}",
            role=self.roles.role_of(claims),
            way=Way.JWT,
            expires_at=float(expires_at) + self.leeway_s,
        )


def looks_like_jwt(token: str) -> bool:
    """Return whether *token* has the form of a JWT."""
    parts = token.split(".")
    return len(parts) == JWT_PARTS and all(parts)


def _at(claims: object, path: list[str]) -> object:
    for part in path:
        if not isinstance(claims, Mapping):
            return None
        claims = cast("Claims", claims).get(part)
    return claims
