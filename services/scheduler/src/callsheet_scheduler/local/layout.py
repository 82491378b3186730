"""What lies where in the data folder, and the checks before anything is started."""

import errno
import fcntl
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet_scheduler.local.errors import StartError

#: Bytes that must be free before a start.
FREE_BYTES_MIN: Final = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """One data folder. Everything that Callsheet writes is in it."""

    path: Path

    @property
    def logs(self) -> Path:
        """What the processes write."""
        return self.path / "logs"

    @property
    def spool(self) -> Path:
        """Results that are not acknowledged yet."""
        return self.path / "spool"

    @property
    def derivatives(self) -> Path:
        """Thumbnails and previews."""
        return self.path / "derivatives"

    @property
    def outputs(self) -> Path:
        """What jobs write for people."""
        return self.path / "outputs"

    @property
    def samples(self) -> Path:
        """The sample library, where none was given."""
        return self.path / "samples"

    @property
    def connection(self) -> Path:
        """Where the other commands find the scheduler."""
        return self.path / "connection.json"

    def make(self) -> None:
        """Make the folders.

        Raises:
            StartError: They cannot be made or written, or the disk is full.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.spool, self.derivatives, self.outputs):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.path / ".writable"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise StartError(_cannot_write(self.path, error)) from error
        if free < FREE_BYTES_MIN:
            message = (
                f"the disk of {self.path} is full: {free >> 20} MB are free and {FREE_BYTES_MIN >> 20} MB "
                "are needed; make room or give another folder with DATA="
            )
            raise StartError(message)

    def lock(self) -> int:
        """Take the folder for this process until it ends; return the descriptor that holds it.

        Raises:
            StartError: Another Callsheet has it.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            message = f"another Callsheet is using {self.path}; stop it or give another folder with DATA="
            raise StartError(message) from error
        return descriptor


def check_media(media: Path) -> Path:
    """Return the real path of the media folder.

    Raises:
        StartError: It is no folder that can be read.
    """
    try:
        real = media.resolve(strict=True)
        with os.scandir(real) as entries:
            next(entries, None)
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        message = f"the media folder {media} cannot be read ({reason}); give a readable folder with MEDIA="
        raise StartError(message) from error
    return real


def check_port(port: int) -> None:
    """Make sure that *port* is free on loopback.

    Raises:
        StartError: It is taken or not allowed.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else "cannot be used"
            message = f"port {port} {reason}; give another with PORT="
            raise StartError(message) from error


def _cannot_write(path: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {path} is full; make room or give another folder with DATA="
    reason = os.strerror(error.errno or errno.EIO).lower()
    return f"the data folder {path} cannot be written ({reason}); give another with DATA="
