"""The error tree as gRPC statuses, there and back."""

from typing import Final

import grpc

from callsheet.errors import (
    BadInputError,
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

#: Trailing metadata that carries what a status and a sentence cannot.
FIELD_KEY: Final = "callsheet-field"
RETRY_AFTER_KEY: Final = "callsheet-retry-after-s"

Trailer = tuple[tuple[str, str], ...]

_SIMPLE: Final[dict[grpc.StatusCode, type[CallsheetError]]] = {
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: StateError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnavailableError,
    grpc.StatusCode.ABORTED: UnavailableError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: DeniedError,
}


def status_of(error: CallsheetError) -> tuple[grpc.StatusCode, str, Trailer]:
    """Return status, sentence and trailing metadata that stand for *error*."""
    trailer: list[tuple[str, str]] = []
    if isinstance(error, InvalidError) and error.field:
        trailer.append((FIELD_KEY, _ascii(error.field)))
    if isinstance(error, OverloadedError):
        trailer.append((RETRY_AFTER_KEY, f"{error.retry_after_s:g}"))
    if isinstance(error, BadInputError):
        return grpc.StatusCode.INVALID_ARGUMENT, error.message, ()
    return grpc.StatusCode[error.status], error.message, tuple(trailer)


def from_rpc_error(error: grpc.aio.AioRpcError) -> CallsheetError:
    """Return the error of the tree that *error* stands for."""
    message = error.details() or error.code().name
    trailer = {key: value for key, value in (error.trailing_metadata() or ()) if isinstance(value, str)}
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE:
            return InvalidError(message, field=trailer.get(FIELD_KEY, ""))
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return OverloadedError(message, retry_after_s=float(trailer.get(RETRY_AFTER_KEY, "1")))
        case code:
            return _SIMPLE.get(code, CallsheetError)(message)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")[:200]
