"""The data folder: where everything that one Callsheet keeps lies, used by one process at a time."""

import fcntl
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet_scheduler.local.errors import StartError

NEW_SPACE_MIN_BYTES: Final = 256 * 1024**2
"""Free space that a first start asks for; the database alone takes a quarter."""
SPACE_MIN_BYTES: Final = 64 * 1024**2
"""Free space that every further start asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """The names in the data folder."""

    path: Path
    """Absolute."""

    @property
    def admin_token(self) -> Path:
        """The token for REST."""
        return self.path / "admin-token"

    @property
    def join_token(self) -> Path:
        """The token that the services show one another."""
        return self.path / "join-token"

    @property
    def connection(self) -> Path:
        """Where other commands find the services."""
        return self.path / "connection.json"

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.path / "logs"

    @property
    def spool(self) -> Path:
        """What workers keep until it is acknowledged; a folder for each."""
        return self.path / "spool"

    @property
    def scratch(self) -> Path:
        """Copies of what lies in buckets, while workers use them."""
        return self.path / "scratch"

    @property
    def derivatives(self) -> Path:
        """Thumbnails and previews."""
        return self.path / "derivatives"

    @property
    def outputs(self) -> Path:
        """What jobs were asked to make."""
        return self.path / "outputs"

    @property
    def uploads(self) -> Path:
        """Originals that were sent over REST."""
        return self.path / "uploads"

    @property
    def models(self) -> Path:
        """Models that were pulled; made by the first."""
        return self.path / "models"

    @property
    def samples(self) -> Path:
        """The sample library."""
        return self.path / "samples"

    @property
    def lock(self) -> Path:
        """Locked by the process that uses the folder."""
        return self.path / "lock"


def open_data_folder(path: Path) -> tuple[DataFolder, int]:
    """Make the folder and what lies in it, and return it with a descriptor that holds its lock.

    Raises:
        StartError: It cannot be written, has no space left, or another process uses it.
    """
    data = DataFolder(path=path.expanduser().absolute())
    fresh = not data.lock.exists()
    try:
        data.path.mkdir(parents=True, exist_ok=True)
        for folder in (data.logs, data.spool, data.derivatives, data.outputs, data.uploads):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"The data folder {data.path} cannot be used: {error.strerror or error}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        message = (
            f"Another Callsheet runs with the data folder {data.path}: stop it, or choose another (DATA=)."
        )
        raise StartError(message) from None
    try:
        check_space(data.path, NEW_SPACE_MIN_BYTES if fresh else SPACE_MIN_BYTES)
    except StartError:
        if fresh:
            data.lock.unlink()
        os.close(descriptor)
        raise
    return data, descriptor


def check_space(path: Path, least_bytes: int) -> None:
    """Raise StartError unless the disk that holds *path* has *least_bytes* free."""
    free = shutil.disk_usage(path).free
    if free < least_bytes:
        message = (
            f"The disk that holds {path} is full: {free >> 20} MiB are free and {least_bytes >> 20} MiB"
            " are needed to start: make room or choose another data folder (DATA=)."
        )
        raise StartError(message)


def check_media(media: Path, data: Path) -> Path:
    """Return the absolute path of the media.

    Raises:
        StartError: It is no folder, cannot be read, or *data* lies in it, where nothing is ever written.
    """
    folder = media.expanduser().absolute()
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        raise StartError(f"MEDIA cannot be read: {folder}: {error.strerror or error}.") from error
    real = folder.resolve()
    place = data.resolve()
    if real == place or real in place.parents:
        message = f"The data folder {data} lies in MEDIA, which is never written to: choose another (DATA=)."
        raise StartError(message)
    return folder


def reserve_port(wanted: int, option: str = "PORT=") -> socket.socket:
    """Return a socket bound to *wanted* on loopback, or for 0 to some port that is free.

    As long as it is open the kernel gives the port to nobody who asks for just any; a server that asks
    for this one by number, as servers do with SO_REUSEADDR, gets it. *option* is what chooses another.

    Raises:
        StartError: Something listens there, or the account may not.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind(("127.0.0.1", wanted))
    except OSError as error:
        reserved.close()
        message = f"Port {wanted} is not to be had ({error.strerror}): choose another ({option})."
        raise StartError(message) from error
    return reserved
