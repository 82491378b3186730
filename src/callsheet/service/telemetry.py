"""Traces by OpenTelemetry where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to; costs nothing elsewhere.

A job carries the ``traceparent`` of W3C trace context from the call that submitted it to its attempts.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from callsheet.service.spans import TRACEPARENT, Facts, NoSpan, Span, Tracer

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"

_NO_SPAN: Final = nullcontext[Span](NoSpan())
_NO_FACTS: Final[Facts] = {}


class _State:
    """Whether this process traces."""

    tracer: Tracer | None = None


def set_up() -> None:
    """Begin to trace where the environment asks for it. Called once, before the loop runs."""
    if os.environ.get(ENDPOINT):
        from callsheet.service.tracing import OtlpTracer  # noqa: PLC0415 -- half a second that few want

        _State.tracer = OtlpTracer(service=_service_name())


def span(name: str, carrier: Mapping[str, str], facts: Facts = _NO_FACTS) -> AbstractContextManager[Span]:
    """Return a span, to be entered, below the one that *carrier* names as ``traceparent``."""
    tracer = _State.tracer
    return _NO_SPAN if tracer is None else tracer.span(name, carrier, facts)


def inner(name: str, facts: Facts = _NO_FACTS) -> AbstractContextManager[Span]:
    """Return a span, to be entered, below the present one."""
    tracer = _State.tracer
    return _NO_SPAN if tracer is None else tracer.inner(name, facts)


def past(name: str, traceparent: str, begin: float, end: float, facts: Facts = _NO_FACTS) -> None:
    """Tell of what is over, from *begin* to *end* in seconds since 1970, below *traceparent*."""
    if _State.tracer is not None:
        _State.tracer.past(name, traceparent, begin, end, facts)


def ids() -> tuple[str, str, str] | None:
    """Return trace, span and flags of the present, in hex; None where there is none."""
    return None if _State.tracer is None else _State.tracer.ids()


def traceparent() -> str | None:
    """Return the present span as others take it for a parent; None where there is none."""
    found = ids()
    return None if found is None else "-".join(("00", *found))


def headers() -> tuple[tuple[str, str], ...]:
    """Return what goes with a call so that its spans stand below the present one."""
    found = traceparent()
    return () if found is None else ((TRACEPARENT, found),)


def is_on() -> bool:
    """Say whether spans go anywhere."""
    return _State.tracer is not None


def shut_down() -> None:
    """Send what is left and trace no more."""
    tracer, _State.tracer = _State.tracer, None
    if tracer is not None:
        tracer.shut_down()


def _service_name() -> str:
    """Return the name of the running package or script; ``OTEL_SERVICE_NAME`` goes before it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.partition(".")[0] if spec is not None else Path(sys.argv[0]).stem
    return name.replace("_", "-")
