"""Errors as RFC 9457 problem documents."""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.exceptions import HTTPException

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

PROBLEM_TYPE: Final = "application/problem+json"

#: Seconds after which a client may repeat a call that found no scheduler.
AWAY_RETRY_S: Final = 2

TITLES: Final = {
    400: "Malformed request",
    401: "No or bad credentials",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible in this state",
    413: "Too large",
    416: "Range not satisfiable",
    422: "Invalid parameters",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
    504: "Took too long",
}

STATUSES: Final[dict[type[CallsheetError], int]] = {
    InvalidError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    StateError: 409,
    OverloadedError: 429,
    UnavailableError: 503,
    UnauthenticatedError: 401,
    DeniedError: 403,
}


class FieldProblem(BaseModel):
    """One wrong field."""

    field: str
    message: str


class _Found(BaseModel):
    """One finding of the validation, as FastAPI tells it."""

    type: str
    loc: tuple[str | int, ...]
    msg: str


FOUND: Final = TypeAdapter(list[_Found])


class Problem(BaseModel):
    """What every error answers (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Not found",
                "status": 404,
                "detail": "there is no job 550e8400-e29b-41d4-a716-446655440000",
                "error": "there is no job 550e8400-e29b-41d4-a716-446655440000",
            },
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str = Field(description="The same sentence as detail, for older clients.")
    errors: list[FieldProblem] | None = None


def problem_response(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> JSONResponse:
    """Return a problem document."""
    problem = Problem(
        title=TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        error=detail,
        errors=None if errors is None else list(errors),
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )


def from_error(error: CallsheetError) -> JSONResponse:
    """Return the problem document of an error of the tree."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    headers: dict[str, str] = {}
    errors = None
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(AWAY_RETRY_S)
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, InvalidError) and error.field:
        errors = [FieldProblem(field=error.field.removeprefix("jobs[0]."), message=error.message)]
    detail = error.message if status != 500 else "an error of Callsheet; its log says more"  # noqa: PLR2004 -- HTTP
    return problem_response(status, detail, headers=headers, errors=errors)


def add_handlers(app: FastAPI) -> None:
    """Let *app* answer every error as a problem document."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        return from_error(error) if isinstance(error, CallsheetError) else await unknown(_, error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        found = FOUND.validate_python(error.errors() if isinstance(error, RequestValidationError) else [])
        malformed = any(problem.type == "json_invalid" for problem in found)
        errors = [
            FieldProblem(
                field=".".join(str(part) for part in problem.loc if part not in {"body", "query", "path"}),
                message=problem.msg,
            )
            for problem in found
        ]
        detail = "; ".join(f"{problem.field or 'body'}: {problem.message}" for problem in errors[:5])
        return problem_response(400 if malformed else 422, detail, errors=errors)

    async def http(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return await unknown(_, error)
        headers = dict(error.headers or {})
        return problem_response(error.status_code, str(error.detail), headers=headers)

    async def unknown(_: Request, _error: Exception) -> JSONResponse:
        return problem_response(500, "an error of Callsheet; its log says more")

    app.add_exception_handler(CallsheetError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)
