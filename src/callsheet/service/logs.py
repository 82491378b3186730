"""Structured logs: one JSON object a line, or plain text on a terminal, without secrets."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from callsheet.service import telemetry
from callsheet.service.plain import plain, plain_line

_HIDDEN: Final = "***"

_CREDENTIAL: Final = re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s\"',;]+")
_IN_ADDRESS: Final = re.compile(r"(://[^:/@\s\"']*:)[^\s/\"']*(?=@)")
_NAMED: Final = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|signature|credential)[\"']?\s*[=:]\s*)"
    r"(?!(?-i:(?:give|name|set|unset) CALLSHEET_))"  # what to do about it is no value
    r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;)}\]]+)"
)

#: Further fields whose text is secret whatever it is.
_SECRET_KEYS: Final = re.compile(r"(?i)password|passwd|secret|token|api_?key|authorization|credential|dsn$")

_NOTHING: Final[dict[str, str | int]] = {}
_ABOUT: Final = ContextVar("about", default=_NOTHING)

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return *text* without credentials, passwords in addresses, and values of keys that name a secret."""
    for pattern in (_CREDENTIAL, _IN_ADDRESS, _NAMED):
        text = pattern.sub(lambda found: f"{found[1]}{_HIDDEN}", text)
    return text


class _JsonLines(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": redact(record.getMessage()),
        }
        line |= _whereabouts() | dict(_further(record))
        if record.exc_info:
            line["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=lambda value: redact(str(value)))


class _Plain(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        further = "".join(f" {key}={value}" for key, value in _further(record))
        said = plain_line(redact(f"{record.getMessage()}{further}"))
        line = f"{at} {record.levelname.lower():7} {record.name}: {said}"
        if record.exc_info:
            line += "\n" + plain(redact(self.formatException(record.exc_info)))
        return line


def _further(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """Yield the fields that the caller added, without secrets."""
    for key, value in vars(record).items():
        if key in _STANDARD:
            continue
        if not isinstance(value, str):
            yield key, value
        else:
            yield key, _HIDDEN if _SECRET_KEYS.search(key) else redact(value)


def about(**fields: str | int) -> None:
    """Have everything that the present task logs from now on, and those that it starts, bear these fields."""
    _ABOUT.set({**_ABOUT.get(), **fields})


def _whereabouts() -> dict[str, str | int]:
    """Return what the present task is about, and the trace and span that it is in."""
    ids = telemetry.ids()
    return _ABOUT.get() | ({} if ids is None else {"trace_id": ids[0], "span_id": ids[1]})


def configure(level: str) -> None:
    """Send logs of at least *level* to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain() if sys.stderr.isatty() else _JsonLines())
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
