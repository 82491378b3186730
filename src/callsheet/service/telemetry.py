"""Traces by OpenTelemetry where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to; costs nothing elsewhere."""

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, Protocol

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"

_NO_SPAN: Final = nullcontext()


class Tracer(Protocol):
    """Makes spans, and sends them in the background."""

    def span(self, name: str, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a span of a call that was received; *carrier* holds its headers, lower case."""
        ...

    def shut_down(self) -> None:
        """Send what is left."""
        ...


class _State:
    """Whether this process traces."""

    tracer: Tracer | None = None


def set_up() -> None:
    """Begin to trace where the environment asks for it. Called once, before the loop runs."""
    if os.environ.get(ENDPOINT):
        from callsheet.service.tracing import OtlpTracer  # noqa: PLC0415 -- half a second that few want

        _State.tracer = OtlpTracer(service=_service_name())


def span(name: str, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
    """Return a span of a call that was received, to be entered."""
    tracer = _State.tracer
    return _NO_SPAN if tracer is None else tracer.span(name, carrier)


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
