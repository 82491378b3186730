"""Keeps the worker's identity, and results on disk until the scheduler has acknowledged them."""

import fcntl
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import uuid_utils
from google.protobuf.message import DecodeError

from callsheet.errors import InvalidError
from callsheet.v1.lease_service_pb2 import Result
from callsheet.worker.stream.commands import LeaseKey, key_of

_RESULT_NAME: Final = re.compile(r"[0-9A-Za-z-]{1,64}\.[0-9a-f]{16}\.result")
_JOB_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_IDENTITY: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Spool:
    """A folder that one worker process at a time uses; a worker started again with it is the same worker."""

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            InvalidError: It cannot be made or written, or another process uses it.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InvalidError(
                f"CALLSHEET_SPOOL: another worker uses {folder}; give each worker a folder of its own",
                field="spool",
            ) from None
        except OSError as error:
            raise InvalidError(
                f"CALLSHEET_SPOOL: {folder} cannot be written ({error.strerror}); name a folder that can",
                field="spool",
            ) from error
        self._folder = folder
        self._kept: set[LeaseKey] = set()

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.close()

    def identity(self, prefix: str) -> str:
        """Return the identity kept here, made from *prefix* and chance where there is none yet."""
        path = self._folder / "identity"
        kept = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        if _IDENTITY.fullmatch(kept):
            return kept
        clean = re.sub(r"[^A-Za-z0-9._-]", "-", prefix)[:90]
        made = f"{clean}-{uuid_utils.uuid4().hex[:8]}"
        self._write(path, made.encode())
        return made

    def keep(self, result: Result) -> None:
        """Write *result* so that it outlives this process and its machine's crash.

        Raises:
            OSError: It could not be written, as when the disk is full.
        """
        lease = result.lease
        if _JOB_ID.fullmatch(lease.job_id):
            self._write(self._path((lease.job_id, lease.token)), result.SerializeToString())
            self._kept.add((lease.job_id, lease.token))

    def drop(self, results: Iterable[Result]) -> None:
        """Forget those of the results that are kept."""
        if not self._kept:
            return
        for result in results:
            key = key_of(result.lease)
            if key in self._kept:
                self._kept.discard(key)
                self._path(key).unlink(missing_ok=True)

    def load(self) -> list[Result]:
        """Return every kept result; a damaged file is renamed to ``….damaged`` and left out."""
        found: list[Result] = []
        for path in sorted(self._folder.iterdir()):
            if not _RESULT_NAME.fullmatch(path.name):
                continue
            try:
                result = Result.FromString(path.read_bytes())
            except DecodeError:
                path.rename(path.with_suffix(".damaged"))
                continue
            self._kept.add((result.lease.job_id, result.lease.token))
            found.append(result)
        return found

    def _path(self, key: LeaseKey) -> Path:
        return self._folder / f"{key[0]}.{key[1]:016x}.result"

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
