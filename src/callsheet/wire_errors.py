"""The error tree as gRPC statuses, there and back."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import grpc

from callsheet.errors import (
    CallsheetError,
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    StandbyError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)

#: Trailing metadata that carries what a status and a sentence cannot.
FIELD_KEY: Final = "callsheet-field"
RETRY_AFTER_KEY: Final = "callsheet-retry-after-s"
CLASS_KEY: Final = "callsheet-error"
LEADER_KEY: Final = "callsheet-leader"

#: Bytes of a sentence and characters of a field on the wire: both travel in headers, escaped, 8 KiB in all.
SENTENCE_BYTES_MAX: Final = 2000
FIELD_MAX: Final = 200

RETRY_AFTER_DEFAULT_S: Final = 1.0
RETRY_AFTER_MAX_S: Final = 3600.0

Trailer = tuple[tuple[str, str], ...]

_BY_CODE: Final[dict[grpc.StatusCode, type[CallsheetError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: StateError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnavailableError,
    grpc.StatusCode.ABORTED: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: DeniedError,
}


def status_of(error: CallsheetError) -> tuple[grpc.StatusCode, str, Trailer]:
    """Return status, sentence and trailing metadata that stand for *error*."""
    trailer = [(CLASS_KEY, type(error).__name__)]
    if isinstance(error, InvalidError) and error.field:
        trailer.append((FIELD_KEY, _ascii(error.field)))
    if isinstance(error, OverloadedError):
        trailer.append((RETRY_AFTER_KEY, f"{error.retry_after_s:g}"))
    if isinstance(error, StandbyError) and error.leader:
        trailer.append((LEADER_KEY, _ascii(error.leader)))
    return grpc.StatusCode[error.status], _sentence(error.message), tuple(trailer)


def from_rpc_error(error: grpc.aio.AioRpcError) -> CallsheetError:
    """Return the error of the tree that *error* stands for.

    What the other side says of the class counts only where it agrees with the status.
    """
    message = error.details() or error.code().name.lower().replace("_", " ")
    trailer = {key: value for key, value in (error.trailing_metadata() or ()) if isinstance(value, str)}
    kind = _BY_CODE.get(error.code(), CallsheetError)
    named = _BY_NAME.get(trailer.get(CLASS_KEY, ""), kind)
    if grpc.StatusCode[named.status] is error.code():
        kind = named
    if issubclass(kind, InvalidError):
        return kind(message, field=trailer.get(FIELD_KEY, ""))
    if issubclass(kind, OverloadedError):
        return kind(message, retry_after_s=_retry_after_s(trailer))
    if issubclass(kind, StandbyError):
        return kind(message, leader=trailer.get(LEADER_KEY, ""))
    return kind(message)


def _tree(root: type[CallsheetError]) -> Iterator[type[CallsheetError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_BY_NAME: Final = {
    kind.__name__: kind for kind in _tree(CallsheetError) if kind.__module__ == CallsheetError.__module__
}


def _retry_after_s(trailer: dict[str, str]) -> float:
    with suppress(ValueError):
        value = float(trailer.get(RETRY_AFTER_KEY, RETRY_AFTER_DEFAULT_S))
        if math.isfinite(value) and value >= 0:
            return min(value, RETRY_AFTER_MAX_S)
    return RETRY_AFTER_DEFAULT_S


def _sentence(text: str) -> str:
    """Return *text* as it may travel: encodable, and not too long for the headers."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= SENTENCE_BYTES_MAX:
        return encoded.decode("utf-8")
    return encoded[:SENTENCE_BYTES_MAX].decode("utf-8", "ignore") + " …"


def _ascii(text: str) -> str:
    """Return *text* as a metadata value may be: printable ASCII."""
    shown = (character if " " <= character <= "~" else "?" for character in text[:FIELD_MAX])
    return "".join(shown).strip()
