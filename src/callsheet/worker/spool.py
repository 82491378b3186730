"""Keeps results on disk until the scheduler has acknowledged them."""

import os
import re
from pathlib import Path
from typing import Final

import uuid_utils

from callsheet.v1.lease_service_pb2 import Result

RESULT_NAME: Final = re.compile(r"[0-9a-f-]{36}\.[0-9a-f]{16}\.result")


class Spool:
    """A folder of results, and the worker's identity."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def identity(self, prefix: str) -> str:
        """Return the identity kept here, made from *prefix* and chance where there is none yet."""
        kept = self._folder / "identity"
        if not kept.exists():
            clean = re.sub(r"[^A-Za-z0-9._-]", "-", prefix)[:90]
            self._write(kept, f"{clean}-{uuid_utils.uuid4().hex[:8]}".encode())
        return kept.read_text(encoding="ascii")

    def keep(self, result: Result) -> None:
        """Write *result* so that it outlives this process and its machine's crash."""
        self._write(self._path(result.lease.job_id, result.lease.token), result.SerializeToString())

    def drop(self, job_id: str, token: int) -> None:
        """Forget a result, if it is kept."""
        self._path(job_id, token).unlink(missing_ok=True)

    def load(self) -> list[Result]:
        """Return every kept result."""
        paths = sorted(path for path in self._folder.iterdir() if RESULT_NAME.fullmatch(path.name))
        return [Result.FromString(path.read_bytes()) for path in paths]

    def _path(self, job_id: str, token: int) -> Path:
        return self._folder / f"{job_id}.{token:016x}.result"

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
