"""What a span is to the code that has one, whether anything is traced or not."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

TRACEPARENT: Final = "traceparent"

Facts = Mapping[str, str | int]
"""What is known of a span, by the names of OpenTelemetry where it has one."""


class Span(Protocol):
    """A span that has begun."""

    def add(self, facts: Facts) -> None:
        """Say more of it."""
        ...


class NoSpan:
    """Stands for a span where nothing is traced."""

    def add(self, facts: Facts) -> None:
        """Forget it."""


class Tracer(Protocol):
    """Makes spans, and sends them in the background."""

    def span(self, name: str, carrier: Mapping[str, str], facts: Facts) -> AbstractContextManager[Span]:
        """Return a span of what somebody else asked for; *carrier* holds its headers, lower case."""
        ...

    def inner(self, name: str, facts: Facts) -> AbstractContextManager[Span]:
        """Return a span below the present one."""
        ...

    def past(self, name: str, traceparent: str, begin: float, end: float, facts: Facts) -> None:
        """Tell of a span that is over, by its instants in seconds since 1970."""
        ...

    def ids(self) -> tuple[str, str, str] | None:
        """Return trace, span and flags of the present, in hex; None where there is no span."""
        ...

    def shut_down(self) -> None:
        """Send what is left."""
        ...
