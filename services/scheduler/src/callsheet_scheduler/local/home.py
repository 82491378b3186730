"""Decides where the database lives: in the data folder, or beside it where the account may not enter."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.private_files import write_private
from callsheet_scheduler.local.accounts import Account
from callsheet_scheduler.local.binaries import PROGRAM_ENVIRONMENT, SHARED_FOLDER
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.spawn import Program, run_program

SOCKET_PATH_LIMIT: Final = 107
"""Bytes that the kernel allows in the path of a socket (``sun_path``, less its end)."""
SOCKET_NAME: Final = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The folder of one database server."""

    path: Path

    @property
    def cluster(self) -> Path:
        """The data of the server."""
        return self.path / "cluster"

    @property
    def password(self) -> Path:
        """The file with the password of the one role."""
        return self.path / "password"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the server."""
        return self.path / "lock"

    @property
    def sockets(self) -> Path:
        """The folder of the server's socket, short enough for the kernel."""
        near = self.path / "socket"
        if len(os.fsencode(near / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            return near
        return Path(tempfile.gettempdir(), f"callsheet-{_digest(self.path)}")


async def open_home(data: Path, account: Account | None) -> Home:
    """Make the home of the server whose files belong to *data*, with its folders, all mode 0700.

    Root keeps it below /var/lib/callsheet where *account* may not enter *data*; no mode of a folder
    that exists is loosened.

    Raises:
        StartError: It cannot be made.
    """
    home = Home(path=data.resolve() / "postgres")  # noqa: ASYNC240 -- one look at the disk, at the start
    if account and not home.cluster.exists() and not await _reaches(home.path.parent, account):
        home = Home(path=SHARED_FOLDER / _digest(home.path))
    try:
        _make(home, data, account)
    except OSError as error:
        message = f"The database's folder {home.path} cannot be made: {error.strerror or error}."
        raise StartError(message) from error
    if account and not await _reaches(home.path, account):
        message = f"The account {account.name} may not enter {home.path}: choose another data folder."
        raise StartError(message)
    return home


def _make(home: Home, data: Path, account: Account | None) -> None:
    if home.path.parent == SHARED_FOLDER:
        SHARED_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    for folder in (home.path, home.sockets):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        owner = account.uid if account else os.geteuid()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {owner, os.geteuid()}:
            message = (
                f"The folder {folder} belongs to another account: remove it or choose another data folder."
            )
            raise StartError(message)
        folder.chmod(0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    if home.path.parent == SHARED_FOLDER:
        write_private(home.path / "belongs-to", f"{data.resolve()}\n")


async def _reaches(folder: Path, account: Account) -> bool:
    """Say whether *account* may enter *folder*, by trying."""
    program = Program(
        arguments=("/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)),
        environment=PROGRAM_ENVIRONMENT,
        account=account,
    )
    status, _ = await run_program(program, deadline_s=10)
    return status == 0


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
