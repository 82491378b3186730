"""Keeps on disk which queues are paused by whom, so that a crash leaves none paused for good."""

import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from callsheet.errors import InvalidError, UnavailableError
from callsheet_immich_agent.policy import Hold

log = logging.getLogger(__name__)

_BYTES_MAX: Final = 1024 * 1024
_IDENTITY_CHARS: Final = 32
_IDENTITY: Final = re.compile("[0-9a-f]{32}")


class Remembered:
    """One server's file in a folder, which one process at a time uses."""

    def __init__(self, folder: Path, server: str) -> None:
        """Take the file of *server*, its address, in *folder*.

        Raises:
            InvalidError: It cannot be written, or another process steers the same server by it.
        """
        self._path = _path(folder, server)
        self._server = server
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._path.with_suffix(".lock").open("a+")
        except OSError as error:
            raise InvalidError(
                f"CALLSHEET_IMMICH_STATE: {folder} cannot be written ({error.strerror});"
                " name a folder that can",
                field="immich_state",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InvalidError(
                f"CALLSHEET_IMMICH_STATE: another process steers {server} by {folder}; stop it first",
                field="immich_state",
            ) from None
        self._kept = self._read()
        self.identity = self._identify()
        """Whoever steers the server by this file, also after a restart."""

    def close(self) -> None:
        """Let another process steer the server."""
        self._lock.close()

    def load(self) -> dict[str, Hold]:
        """Return what was kept; nothing at first contact."""
        return dict(self._kept)

    def keep(self, holds: Mapping[str, Hold]) -> None:
        """Write what has to outlive the process; empty *holds* make the next start a first contact.

        Raises:
            UnavailableError: It could not be written, as when the disk is full.
        """
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump({"server": self._server, "holds": dict(holds)}, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be written: {error.strerror}") from error
        self._kept = dict(holds)

    def _identify(self) -> str:
        """Return what the lock's file says; the first to take it writes that."""
        self._lock.seek(0)
        known = self._lock.read(_IDENTITY_CHARS)
        if _IDENTITY.fullmatch(known):
            return known
        made = secrets.token_hex(_IDENTITY_CHARS // 2)
        self._lock.truncate(0)
        self._lock.write(made)
        self._lock.flush()
        return made

    def _read(self) -> dict[str, Hold]:
        try:
            return _holds(self._path)
        except ValueError:
            aside = self._path.with_name(f"{self._path.name}.damaged")
            self._path.replace(aside)
            log.warning("what was remembered cannot be read and was put aside as %s", aside)
            return {}


def peek(folder: Path, server: str) -> dict[str, Hold]:
    """Return what whoever steers *server* has kept; nothing where that cannot be read."""
    try:
        return _holds(_path(folder, server))
    except (OSError, ValueError):
        return {}


def _path(folder: Path, server: str) -> Path:
    return folder / f"{hashlib.sha256(server.encode()).hexdigest()[:16]}.json"


def _holds(path: Path) -> dict[str, Hold]:
    """Return what a file keeps; nothing where there is none.

    Raises:
        ValueError: It is damaged.
    """
    try:
        text = path.read_bytes()[:_BYTES_MAX]
    except FileNotFoundError:
        return {}
    try:
        holds = cast("Mapping[str, str]", json.loads(text)["holds"])
        return {name: Hold(hold) for name, hold in holds.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
