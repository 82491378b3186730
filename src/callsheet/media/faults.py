"""Why a file cannot be used, in kinds that a program can tell apart and words that a person can read."""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """Kinds of fault; the values are the verdicts of ``validate``."""

    EMPTY = "empty"
    """No bytes."""
    TRUNCATED = "truncated"
    """It ends before it is whole."""
    UNDECODABLE = "undecodable"
    """Its format is known, its content is damaged."""
    ENCRYPTED = "encrypted"
    """It needs a key."""
    UNSUPPORTED = "unsupported"
    """No format or codec that is read here, or larger than the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one file."""

    kind: FaultKind
    reason: str
    """One sentence for a person; says what is wrong."""


class MediaFaultError(Exception):
    """Carries a fault from where it is found to where the answer is put together."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def truncated(reason: str) -> MediaFaultError:
    """Return the error of a file that ends too early."""
    return MediaFaultError(Fault(kind=FaultKind.TRUNCATED, reason=f"truncated: {reason}"))


def undecodable(reason: str) -> MediaFaultError:
    """Return the error of a damaged file."""
    return MediaFaultError(Fault(kind=FaultKind.UNDECODABLE, reason=f"undecodable: {reason}"))


def unsupported(reason: str) -> MediaFaultError:
    """Return the error of a file that is not read here."""
    return MediaFaultError(Fault(kind=FaultKind.UNSUPPORTED, reason=f"unsupported: {reason}"))


def encrypted(reason: str) -> MediaFaultError:
    """Return the error of a file that needs a key."""
    return MediaFaultError(Fault(kind=FaultKind.ENCRYPTED, reason=f"encrypted: {reason}"))


def empty() -> MediaFaultError:
    """Return the error of a file without a byte."""
    return MediaFaultError(Fault(kind=FaultKind.EMPTY, reason="empty: the file has no bytes"))
