"""Completes the OpenAPI document: problems, roles, the security schemes."""

from collections.abc import Mapping
from typing import Any, Final

from callsheet_gateway.access.auth import ROLES, Role
from callsheet_gateway.access.entrance import COOKIE, CSRF_HEADER
from callsheet_gateway.links import links_of
from callsheet_gateway.problems import KINDS, PROBLEM_MEDIA_TYPE, Problem
from callsheet_gateway.schemas.async_tasks import PROCESSING_EXAMPLE, TASK_EXAMPLE
from callsheet_gateway.schemas.collections import COLLECTION_EXAMPLE
from callsheet_gateway.schemas.fleet import QUEUE_EXAMPLE, WORKER_EXAMPLE
from callsheet_gateway.schemas.gpus import GPU_EXAMPLE
from callsheet_gateway.schemas.immich import QUEUE_EXAMPLE as IMMICH_QUEUE_EXAMPLE
from callsheet_gateway.schemas.immich import SERVER_EXAMPLE
from callsheet_gateway.schemas.jobs import DETAILS_EXAMPLE, JOB_EXAMPLE
from callsheet_gateway.schemas.keys import AUDIT_EXAMPLE, CREATED_EXAMPLE, KEY_EXAMPLE
from callsheet_gateway.schemas.library import ITEM_EXAMPLE, METADATA_EXAMPLE
from callsheet_gateway.schemas.roots import ROOT_EXAMPLE
from callsheet_gateway.schemas.schedules import JOB_EXAMPLE as SCHEDULED_EXAMPLE
from callsheet_gateway.schemas.schedules import SCHEDULE_EXAMPLE
from callsheet_gateway.schemas.session import SESSION_EXAMPLE
from callsheet_gateway.schemas.stats import STATS_EXAMPLE
from callsheet_gateway.schemas.uploads import UPLOAD_EXAMPLE

Json = dict[str, Any]
"""A part of the document, as FastAPI has it."""

EXAMPLES: Final[Mapping[str, Json]] = {
    "CollectionView": COLLECTION_EXAMPLE,
    "JobSummary": JOB_EXAMPLE,
    "JobDetails": DETAILS_EXAMPLE,
    "QueueView": QUEUE_EXAMPLE,
    "WorkerView": WORKER_EXAMPLE,
    "GpuView": GPU_EXAMPLE,
    "ScheduleView": SCHEDULE_EXAMPLE,
    "ImmichServerView": SERVER_EXAMPLE,
    "ImmichQueueView": IMMICH_QUEUE_EXAMPLE,
    "ScheduledJob": SCHEDULED_EXAMPLE,
    "ItemView": ITEM_EXAMPLE,
    "Metadata": METADATA_EXAMPLE,
    "Task": TASK_EXAMPLE,
    "ProcessingStatus": PROCESSING_EXAMPLE,
    "JobStats": STATS_EXAMPLE,
    "RootView": ROOT_EXAMPLE,
    "UploadView": UPLOAD_EXAMPLE,
    "SessionView": SESSION_EXAMPLE,
    "KeyView": KEY_EXAMPLE,
    "CreatedKey": CREATED_EXAMPLE,
    "AuditView": AUDIT_EXAMPLE,
}
"""Examples with null in them, which FastAPI would leave out."""
SCHEMES: Final[Mapping[str, Json]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The administrator's token, an API key or a JWT.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The page's session, begun by POST /api/session. What changes something also needs "
        f"the header {CSRF_HEADER}.",
    },
}
"""Any of them will do."""
_OF_EVERY_PROTECTED: Final = (401, 403, 422, 429, 503)
_REF: Final = "#/components/schemas/Problem"

DESCRIPTION: Final = """\
A media job queue. Jobs read photos, videos, sound and documents, and make metadata and pictures of them.

Send `Authorization: Bearer TOKEN`; after `make run` the administrator's token lies in `DATA/admin-token`.
A page signs in by `POST /api/session` and has a cookie from then on.
Each endpoint names the least role that it needs: VIEWER, SUBMITTER, OPERATOR, SUPER_ADMIN. Every error is a
problem document (RFC 9457). Instants are RFC 3339 in UTC. MB are MiB.
"""


def problems(*statuses: int, also: Mapping[int | str, Json] | None = None) -> dict[int | str, Json]:
    """Return what a route says of its answers: *also*, and the errors that are its own."""
    answers: dict[int | str, Json] = dict(also or {})
    return answers | {status: _response(status) for status in statuses}


def document(generated: Json) -> Json:
    """Return *generated*, which FastAPI makes of the routes, completed."""
    components = generated.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= _problem_schemas()
    for name, example in EXAMPLES.items():
        schemas[name]["example"] = example
    components["securitySchemes"] = dict(SCHEMES)
    for path, operations in generated["paths"].items():
        for method, operation in operations.items():
            _complete(operation, ROLES[method.upper(), path])
            if links := links_of(method.upper(), path):
                operation["responses"]["201"]["links"] = links
    return generated


def _complete(operation: Json, role: Role) -> None:
    operation["description"] = f"{operation.get('description', '')}\n\nRole: `{role.name}`".lstrip()
    responses = operation["responses"]
    if role is Role.PUBLIC:
        operation["security"] = []
        return
    operation["security"] = [{name: []} for name in SCHEMES]
    for status in _OF_EVERY_PROTECTED:
        responses[str(status)] = _response(status)
    operation["responses"] = dict(sorted(responses.items()))


def _response(status: int) -> Json:
    slug, title = KINDS[status]
    example: Mapping[str, object] = {
        "type": f"urn:callsheet:problem:{slug}",
        "title": title,
        "status": status,
        "detail": title,
        "error": title,
    }
    return {
        "description": title,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _REF}, "example": example}},
    }


def _problem_schemas() -> Json:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}
