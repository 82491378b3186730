"""Finds the scheduler: from options, the environment, or the file that ``callsheet up`` leaves."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from callsheet.client import Client
from callsheet.errors import InvalidError, UnavailableError

#: The file in the data folder that says where things are.
CONNECTION_FILE = "connection.json"


class ConnectionFile(BaseModel):
    """What ``callsheet up`` writes for the other commands."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scheduler: str
    """host:port of gRPC."""
    gateway: str
    """Address of REST."""
    join_token_file: Path
    """Where the join token lies."""
    roots: dict[str, Path] = {}
    """Where the roots lie on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the scheduler is, and what is known of the roots."""

    scheduler: str
    token: str | None
    roots: dict[str, Path] = field(default_factory=dict[str, Path])

    def client(self) -> Client:
        """Return a client; close it after use."""
        return Client(self.scheduler, token=self.token)


def find_connection(data: Path, scheduler: str | None, token_file: Path | None) -> Connection:
    """Return where the scheduler is.

    Raises:
        UnavailableError: Nothing says where; the message names the remedies.
        InvalidError: A file is not readable.
    """
    known = _read(data / CONNECTION_FILE)
    target = scheduler or (known.scheduler if known else None)
    if target is None:
        message = (
            f"no Callsheet is running with the data folder {data}: start it by `make run`, "
            "or say where the scheduler is with --scheduler or CALLSHEET_SCHEDULER"
        )
        raise UnavailableError(message)
    path = token_file or (known.join_token_file if known else None)
    try:
        token = None if path is None else path.read_text(encoding="ascii").strip()
    except OSError as error:
        message = f"the join token cannot be read: {error}"
        raise InvalidError(message, field="CALLSHEET_JOIN_TOKEN_FILE") from error
    return Connection(scheduler=target, token=token, roots=known.roots if known else {})


def place_of(text: str, roots: dict[str, Path]) -> tuple[str, str]:
    """Return root and relative path that *text* names: ``root:path``, or a path on this machine.

    Raises:
        InvalidError: It lies in no known root.
    """
    name, colon, rest = text.partition(":")
    if colon and name.isidentifier() and "/" not in name:
        return name, rest.strip("/")
    given = Path(os.path.realpath(text))
    for root, folder in roots.items():
        base = Path(os.path.realpath(folder))
        if given == base or base in given.parents:
            relative = given.relative_to(base).as_posix()
            return root, "" if relative == "." else relative
    message = (
        f"{text} lies in no root that this Callsheet knows; "
        f"write ROOT:path (roots: {', '.join(sorted(roots)) or 'library'})"
    )
    raise InvalidError(message, field="DIR")


def _read(path: Path) -> ConnectionFile | None:
    try:
        return ConnectionFile.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        message = f"{path} cannot be read: {error}"
        raise InvalidError(message, field="--data") from error
