"""Structured logs: one JSON object a line, or plain text on a terminal, without secrets."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

#: What must never stand in a log: bearer tokens, and passwords in addresses.
SECRETS: Final = re.compile(r"(?i)(bearer\s+)[^\s\"']+|(://[^:/@\s]+:)[^@\s]+(?=@)")

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return *text* without its secrets."""
    return SECRETS.sub(lambda found: (found[1] or found[2]) + "***", text)


class _JsonLines(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, default=str))


class _Plain(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD)
        return redact(f"{super().format(record)} {extra}".rstrip())


def configure(level: str) -> None:
    """Send logs of at least *level* to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    plain = _Plain("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(plain if sys.stderr.isatty() else _JsonLines())
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
