"""Who may do what: one table of every endpoint, and the check of credentials."""

import hmac
from collections.abc import Collection, Sequence
from enum import IntEnum
from hashlib import sha256
from typing import Final

from callsheet.errors import DeniedError, UnauthenticatedError


class Role(IntEnum):
    """From least to most; each may do what those before it may."""

    PUBLIC = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    SUPER_ADMIN = 4


ROLES: Final[dict[tuple[str, str], Role]] = {
    ("GET", "/api/media/jobs"): Role.OPERATOR,
    ("POST", "/api/media/jobs"): Role.SUBMITTER,
    ("GET", "/api/media/jobs/stats"): Role.OPERATOR,
    ("POST", "/api/media/jobs/batch"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/actions"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}"): Role.OPERATOR,
    ("PATCH", "/api/media/jobs/{job_id}"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}/log"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}/children"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/retry"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/cancel"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/pause"): Role.OPERATOR,
    ("POST", "/api/media/jobs/{job_id}/resume"): Role.OPERATOR,
    ("GET", "/api/media/job-types"): Role.OPERATOR,
    ("GET", "/api/queues"): Role.OPERATOR,
    ("PATCH", "/api/queues"): Role.OPERATOR,
    ("POST", "/api/queues/{scope}/pause"): Role.OPERATOR,
    ("POST", "/api/queues/{scope}/resume"): Role.OPERATOR,
    ("GET", "/api/schedules"): Role.OPERATOR,
    ("POST", "/api/schedules"): Role.OPERATOR,
    ("GET", "/api/schedules/{name}"): Role.OPERATOR,
    ("PATCH", "/api/schedules/{name}"): Role.OPERATOR,
    ("DELETE", "/api/schedules/{name}"): Role.OPERATOR,
    ("POST", "/api/schedules/{name}/run"): Role.OPERATOR,
    ("POST", "/api/schedules/{name}/pause"): Role.OPERATOR,
    ("POST", "/api/schedules/{name}/resume"): Role.OPERATOR,
    ("GET", "/api/workers"): Role.OPERATOR,
    ("GET", "/api/gpus"): Role.OPERATOR,
    ("POST", "/api/workers/{worker_id}/drain"): Role.OPERATOR,
    ("POST", "/api/workers/{worker_id}/resume"): Role.OPERATOR,
    ("GET", "/api/collections"): Role.VIEWER,
    ("POST", "/api/collections"): Role.SUBMITTER,
    ("GET", "/api/collections/{slug}"): Role.VIEWER,
    ("GET", "/api/media/metadata"): Role.VIEWER,
    ("GET", "/api/media/thumbnail"): Role.VIEWER,
    ("GET", "/api/media/cache/stats"): Role.VIEWER,
    ("POST", "/api/media/cache/rebuild"): Role.OPERATOR,
    ("GET", "/api/media/items"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/thumbnail"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/preview"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/waveform"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/waveform.json"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/sprite"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/sprite.vtt"): Role.VIEWER,
    ("GET", "/healthz"): Role.PUBLIC,
    ("GET", "/readyz"): Role.PUBLIC,
    ("GET", "/metrics"): Role.PUBLIC,
    ("GET", "/openapi.json"): Role.PUBLIC,
    ("GET", "/docs"): Role.PUBLIC,
    ("GET", "/docs/assets/{name}"): Role.PUBLIC,
}
"""The least role of every endpoint. A route without an entry fails the start."""


class Credentials:
    """Knows the tokens, as hashes."""

    def __init__(self, admin_token: str) -> None:
        self._admin = _digest(admin_token)

    def role_of(self, authorization: str) -> Role:
        """Return the role that a request's Authorization header gives.

        Raises:
            UnauthenticatedError: It gives none.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError(
                "send the header Authorization: Bearer with a token; the administrator's lies in "
                "the file that CALLSHEET_ADMIN_TOKEN_FILE names, DATA/admin-token after make run"
            )
        if not hmac.compare_digest(_digest(token.strip()), self._admin):
            raise UnauthenticatedError("the bearer token is not known; read it again from its file")
        return Role.SUPER_ADMIN


def authorise(credentials: Credentials, authorization: str, needed: Role) -> None:
    """Let a request pass, or not.

    Raises:
        UnauthenticatedError: It has no good credential, and needs one.
        DeniedError: Its credential does not have the role.
    """
    if needed is Role.PUBLIC:
        return
    check_role(credentials.role_of(authorization), needed)


def check_role(role: Role, needed: Role) -> None:
    """Refuse a role that is not enough.

    Raises:
        DeniedError: It is not.
    """
    if role < needed:
        raise DeniedError(f"this needs the role {needed.name}; the credential has {role.name}")


def role_of_route(methods: Collection[str], path: str) -> Role:
    """Return the least role for all *methods* of a path.

    Raises:
        LookupError: One has no entry in `ROLES`.
    """
    missing = sorted(method for method in methods if (method, path) not in ROLES)
    if missing or not methods:
        raise LookupError(f"{'/'.join(missing)} {path} has no role in callsheet_gateway.auth.ROLES")
    return max(ROLES[method, path] for method in methods)


def methods_at(path: str) -> set[str]:
    """Return the methods that some endpoint takes at *path*, the path of a request."""
    parts = path.split("/")
    return {method for method, template in ROLES if _fits(template.split("/"), parts)}


def _fits(template: Sequence[str], parts: Sequence[str]) -> bool:
    return len(template) == len(parts) and all(
        (wanted.startswith("{") and part) or wanted == part
        for wanted, part in zip(template, parts, strict=True)
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
