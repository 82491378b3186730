"""Who may do what: one table of every endpoint."""

from collections.abc import Collection, Sequence
from enum import IntEnum, StrEnum
from typing import Final

from callsheet.errors import DeniedError


class Role(IntEnum):
    """From least to most; each may do what those before it may."""

    PUBLIC = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    SUPER_ADMIN = 4


class RoleName(StrEnum):
    """What somebody may do, from least to most."""

    VIEWER = "VIEWER"
    SUBMITTER = "SUBMITTER"
    OPERATOR = "OPERATOR"
    SUPER_ADMIN = "SUPER_ADMIN"


ROLES: Final[dict[tuple[str, str], Role]] = {
    ("GET", "/api/media/jobs"): Role.SUBMITTER,
    ("POST", "/api/media/jobs"): Role.SUBMITTER,
    ("GET", "/api/media/jobs/stats"): Role.OPERATOR,
    ("GET", "/api/media/jobs/hours"): Role.OPERATOR,
    ("GET", "/api/media/jobs/events"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/reencode"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/batch"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/actions"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}"): Role.SUBMITTER,
    ("PATCH", "/api/media/jobs/{job_id}"): Role.OPERATOR,
    ("GET", "/api/media/jobs/{job_id}/log"): Role.SUBMITTER,
    ("GET", "/api/media/jobs/{job_id}/children"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/{job_id}/retry"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/{job_id}/cancel"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/{job_id}/pause"): Role.SUBMITTER,
    ("POST", "/api/media/jobs/{job_id}/resume"): Role.SUBMITTER,
    ("GET", "/api/media/job-types"): Role.SUBMITTER,
    ("PATCH", "/api/media/job-types/{job_type}"): Role.OPERATOR,
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
    ("GET", "/api/immich"): Role.OPERATOR,
    ("PATCH", "/api/immich"): Role.OPERATOR,
    ("GET", "/api/workers"): Role.OPERATOR,
    ("GET", "/api/gpus"): Role.OPERATOR,
    ("POST", "/api/workers/{worker_id}/drain"): Role.OPERATOR,
    ("POST", "/api/workers/{worker_id}/resume"): Role.OPERATOR,
    ("GET", "/api/roots"): Role.SUBMITTER,
    ("GET", "/api/collections"): Role.VIEWER,
    ("POST", "/api/collections"): Role.SUBMITTER,
    ("GET", "/api/collections/{slug}"): Role.VIEWER,
    ("GET", "/api/media/metadata"): Role.VIEWER,
    ("GET", "/api/media/thumbnail"): Role.VIEWER,
    ("GET", "/api/media/cache/stats"): Role.VIEWER,
    ("POST", "/api/media/cache/rebuild"): Role.OPERATOR,
    ("GET", "/api/media/videos"): Role.VIEWER,
    ("GET", "/api/media/videos/{video_id}"): Role.VIEWER,
    ("OPTIONS", "/api/media/upload"): Role.SUBMITTER,
    ("POST", "/api/media/upload"): Role.SUBMITTER,
    ("GET", "/api/media/upload/{upload_id}"): Role.SUBMITTER,
    ("PATCH", "/api/media/upload/{upload_id}"): Role.SUBMITTER,
    ("DELETE", "/api/media/upload/{upload_id}"): Role.SUBMITTER,
    ("GET", "/api/media/items"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/stream"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/thumbnail"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/preview"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/waveform"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/waveform.json"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/sprite"): Role.VIEWER,
    ("GET", "/api/media/items/{item_id}/sprite.vtt"): Role.VIEWER,
    ("GET", "/api/async/async-tasks"): Role.SUBMITTER,
    ("GET", "/api/async/async-tasks/{task_id}"): Role.SUBMITTER,
    ("POST", "/api/async/async-tasks/{task_id}/cancel"): Role.SUBMITTER,
    ("GET", "/api/async/media-processing-status/{voyage_slug}"): Role.VIEWER,
    ("GET", "/api/async/thumbnail-generation-stats"): Role.VIEWER,
    ("POST", "/api/async/retry-failed-thumbnails"): Role.OPERATOR,
    ("GET", "/api/async/worker-health"): Role.VIEWER,
    ("POST", "/api/session"): Role.PUBLIC,
    ("GET", "/api/session"): Role.VIEWER,
    ("DELETE", "/api/session"): Role.VIEWER,
    ("GET", "/api/keys"): Role.SUPER_ADMIN,
    ("POST", "/api/keys"): Role.SUPER_ADMIN,
    ("PATCH", "/api/keys/{key_id}"): Role.SUPER_ADMIN,
    ("DELETE", "/api/keys/{key_id}"): Role.SUPER_ADMIN,
    ("GET", "/api/audit"): Role.SUPER_ADMIN,
    ("GET", "/healthz"): Role.PUBLIC,
    ("GET", "/readyz"): Role.PUBLIC,
    ("GET", "/metrics"): Role.PUBLIC,
    ("GET", "/openapi.json"): Role.PUBLIC,
    ("GET", "/docs"): Role.PUBLIC,
    ("GET", "/docs/assets/{name}"): Role.PUBLIC,
    ("GET", "/"): Role.PUBLIC,
    ("GET", "/jobs"): Role.PUBLIC,
    ("GET", "/jobs/{job_id}"): Role.PUBLIC,
    ("GET", "/library"): Role.PUBLIC,
    ("GET", "/library/{item_id}"): Role.PUBLIC,
    ("GET", "/fleet"): Role.PUBLIC,
    ("GET", "/queue"): Role.PUBLIC,
    ("GET", "/cache"): Role.PUBLIC,
    ("GET", "/schedules"): Role.PUBLIC,
    ("GET", "/immich"): Role.PUBLIC,
    ("GET", "/access"): Role.PUBLIC,
    ("GET", "/assets/{name}"): Role.PUBLIC,
}
"""The least role of every endpoint. A route without an entry fails the start. What a SUBMITTER asks of
jobs is answered for its own (`owning.py`)."""


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
        raise LookupError(f"{'/'.join(missing)} {path} has no role in callsheet_gateway.access.auth.ROLES")
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
