"""Errors as RFC 9457 problem documents; no other text of an error leaves the gateway."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from callsheet.errors import (
    CallsheetError,
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet_gateway.access.auth import methods_at
from callsheet_gateway.media.ranges import UnsatisfiableError

log = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
AWAY_RETRY_S: Final = 2
"""After how many seconds a client may repeat a call that found no scheduler."""
ERRORS_MAX: Final = 20
"""Wrong fields that one answer names."""
PATTERNS: Final[Mapping[str, str]] = {
    r"^[^\x00]*$": "must not contain the character NUL",
    r"^[\x21-\x7e]*$": "must be printable ASCII characters without blanks",
    r"^[a-z][a-z0-9_]{0,63}$": (
        "must be 1 to 64 small letters, digits and underscores, the first of them a letter"
    ),
    r"^[a-z0-9][a-z0-9._-]{0,63}$": (
        "must be 1 to 64 small letters, digits, dots, dashes and underscores, the first a letter or digit"
    ),
    r"^[a-z0-9][a-z0-9._-]{0,99}$": (
        "must be 1 to 100 small letters, digits, dots, dashes and underscores, the first a letter or digit"
    ),
}
"""What a pattern of the description means in words."""
DETAIL_MAX: Final = 1000
"""Characters of a detail."""
BLAMELESS: Final = "this is a fault of Callsheet; its log says more"

#: Status, slug of the type, and title of every problem.
KINDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed", "The request is malformed"),
    401: ("unauthenticated", "No credential, or not a good one"),
    403: ("denied", "The credential does not allow this"),
    404: ("not-found", "There is no such thing"),
    405: ("method", "The method is not possible here"),
    409: ("state", "Not possible in the present state"),
    412: ("precondition", "A condition of the request does not hold"),
    413: ("too-large", "The body is too large"),
    415: ("media-type", "The body is of another type"),
    416: ("range", "The range cannot be satisfied"),
    422: ("invalid", "A value is wrong"),
    423: ("in-use", "Somebody else writes to it"),
    429: ("too-many", "Too much at once"),
    460: ("checksum", "What came is not what its checksum says"),
    500: ("internal", "A fault of Callsheet"),
    503: ("unavailable", "Not available now"),
    507: ("full", "There is no room"),
}

STATUSES: Final[Mapping[type[CallsheetError], int]] = {
    InvalidError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    StateError: 409,
    OverloadedError: 429,
    UnavailableError: 503,
    UnauthenticatedError: 401,
    DeniedError: 403,
}

OF_A_JOB: Final = re.compile(r"(jobs\[\d+\]\.|job\.)(.+)", re.DOTALL)
"""A field of one of several jobs, or of a schedule's."""

FIELD_NAMES: Final[Mapping[str, str]] = {
    "catch_up": "catchUp",
    "catch_up_max": "catchUpMax",
    "category": "resourceCategory",
    "categories": "resourceCategory",
    "depends_on": "dependsOn",
    "expires_at": "expiresAt",
    "fleet_limit": "fleetLimit",
    "grace": "graceS",
    "host_limit": "hostLimit",
    "if_dependency_fails": "ifDependencyFails",
    "jitter": "jitterS",
    "learns_vram": "applyLearned",
    "max_retries": "maxRetries",
    "page_size": "limit",
    "page_token": "cursor",
    "parent_id": "parentId",
    "query": "q",
    "resource_category": "resourceCategory",
    "run_at": "runAt",
    "run_limit_s": "runLimit",
    "skip": "page",
    "states": "status",
    "submitted_by": "submittedBy",
    "time_zone": "timeZone",
    "types": "type",
    "unique_key": "uniqueKey",
    "vram_mib": "vramRequired",
    "vram_required": "vramRequired",
}
"""Fields of the scheduler's requests that REST calls otherwise."""


class FieldProblem(BaseModel):
    """One wrong field."""

    field: str = Field(description="Its path as the caller wrote it; empty for the body as a whole.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """What every error answers (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:callsheet:problem:not-found",
                "title": "There is no such thing",
                "status": 404,
                "detail": "there is no job 019aa1f7-0000-7000-8000-000000000001",
                "error": "there is no job 019aa1f7-0000-7000-8000-000000000001",
            },
        },
    )

    type: str = Field(description="Names the kind of problem; the same for all problems of a kind.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong this time, and what to do.")
    error: str = Field(description="The same sentence as detail, for older clients.")
    errors: list[FieldProblem] | None = Field(
        default=None, description="The wrong fields, where fields are wrong."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One thing that a model says of a request."""

    kind: str
    """pydantic's word for it."""
    where: tuple[str | int, ...]
    """Where in the request: body, query, path or header first."""
    message: str
    reason: str
    """What a parser said; empty where none did."""

    @classmethod
    def of(cls, error: ErrorDetails) -> Self:
        """Return what pydantic says."""
        return cls(
            kind=error["type"],
            where=error["loc"],
            message=PATTERNS.get(str(error.get("ctx", {}).get("pattern", "")), error["msg"]),
            reason=str(error.get("ctx", {}).get("error", "")),
        )

    @property
    def field(self) -> str:
        """Its path as the caller wrote it."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.where[1:])
        return "".join(parts).removeprefix(".")

    @property
    def remedy(self) -> str:
        """What would be right."""
        match self.kind:
            case "missing":
                return "must be given"
            case "extra_forbidden":
                return "is not known here; leave it out, or see /docs for how it is written"
            case _:
                return self.message.removeprefix("Value error, ").replace("Input should", "must")


def problem_response(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> JSONResponse:
    """Return a problem document."""
    slug, title = KINDS.get(status) or ("other", HTTPStatus(status).phrase)
    shown = detail if len(detail) <= DETAIL_MAX else detail[: DETAIL_MAX - 1] + "…"
    problem = Problem(
        type=f"urn:callsheet:problem:{slug}",
        title=title,
        status=status,
        detail=shown,
        error=shown,
        errors=list(errors[:ERRORS_MAX]) if errors else None,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=PROBLEM_MEDIA_TYPE,
    )


def status_of(error: CallsheetError | RequestValidationError | HTTPException) -> int:
    """Return the status that an error is answered with."""
    match error:
        case HTTPException():
            return error.status_code
        case RequestValidationError():
            return 422
        case _:
            return next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)


def response_to(error: CallsheetError) -> JSONResponse:
    """Return the problem document of an error of the tree."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a request failed", extra={"error": type(error).__name__, "said": error.message})
        return problem_response(status, BLAMELESS)
    headers: dict[str, str] = {}
    match error:
        case OverloadedError():
            headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
        case UnavailableError():
            headers["Retry-After"] = str(AWAY_RETRY_S)
        case UnauthenticatedError():
            headers["WWW-Authenticate"] = 'Bearer realm="Callsheet"'
        case InvalidError(field=field) if field:
            name = field_name(field)
            named = FieldProblem(field=name, message=error.message)
            return problem_response(status, f"{name}: {error.message}", errors=[named])
        case _:
            pass
    return problem_response(status, error.message, headers=headers)


def field_name(wire: str) -> str:
    """Return what REST calls a field of the scheduler's requests; what lies below it keeps its name."""
    of_a_job = OF_A_JOB.match(wire)
    job, own = of_a_job.groups() if of_a_job else ("", wire)
    head, dot, rest = own.partition(".")
    bare, bracket, index = head.partition("[")
    return job + FIELD_NAMES.get(bare, bare) + bracket + index + dot + rest


def response_to_validation(error: RequestValidationError, content_type: str) -> JSONResponse:
    """Return the problem document of a request that does not fit its model.

    Args:
        error: What the model says.
        content_type: Of the request; empty for none.
    """
    found = [Wrong.of(one) for one in cast("Sequence[ErrorDetails]", error.errors())]
    for one in found:
        if one.kind == "json_invalid":
            return problem_response(400, f"the body is not JSON: {one.reason}, at character {one.where[-1]}")
    if any(one.where == ("body",) for one in found) and "json" not in content_type:
        return problem_response(
            415, "the body must be a JSON object: send it with the header Content-Type: application/json"
        )
    errors = [FieldProblem(field=one.field, message=one.remedy) for one in found]
    detail = "; ".join(f"{one.field or 'body'}: {one.message}" for one in errors[:ERRORS_MAX])
    return problem_response(422, detail, errors=errors)


def add_handlers(app: FastAPI) -> None:
    """Let *app* answer every error as a problem document."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        return response_to(error) if isinstance(error, CallsheetError) else problem_response(500, BLAMELESS)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            return problem_response(500, BLAMELESS)
        return response_to_validation(error, request.headers.get("content-type", ""))

    async def http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return problem_response(500, BLAMELESS)
        headers = {"Allow": _allowed(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else {}
        return problem_response(
            error.status_code, _sentence(request, error), headers={**(error.headers or {}), **headers}
        )

    async def unsatisfiable(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, UnsatisfiableError):
            return problem_response(500, BLAMELESS)
        headers = {"Content-Range": f"bytes */{error.size_bytes}"}
        return problem_response(416, f"Range: {error}", headers=headers)

    async def gone(_: Request, __: Exception) -> JSONResponse:
        return problem_response(400, "the body ended before it was whole")

    async def unknown(_: Request, __: Exception) -> JSONResponse:
        return problem_response(500, BLAMELESS)

    app.add_exception_handler(CallsheetError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(UnsatisfiableError, unsatisfiable)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unknown)


def _sentence(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"nothing is served at {request.url.path[:200]}; /docs lists what is"
        case 405:
            return f"{request.url.path[:200]} takes {_allowed(request)}, not {request.method[:20]}"
        case _:
            return str(error.detail)


def _allowed(request: Request) -> str:
    return ", ".join(sorted(methods_at(request.url.path)))
