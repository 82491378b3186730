"""Decides which account the database server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from callsheet_scheduler.local.errors import StartError

PREFERRED = ("postgres", "nobody")
"""Unprivileged accounts that exist on most machines; none is ever created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account to run a program as."""

    name: str
    uid: int
    gid: int


def database_account(cluster: Path) -> Account | None:
    """Return the account to drop to, or None where this process is not root and nothing is dropped.

    A cluster that exists keeps its owner.

    Raises:
        StartError: This process is root and there is no unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    owner = _owner(cluster)
    if owner is not None and owner.uid != 0:
        return owner
    for name in PREFERRED:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    message = (
        "PostgreSQL does not run as root and there is neither an account postgres nor nobody:"
        " start Callsheet as an ordinary user, or give DATABASE_URL."
    )
    raise StartError(message)


def _owner(path: Path) -> Account | None:
    try:
        status = path.stat()
    except OSError:
        return None
    try:
        return _account(pwd.getpwuid(status.st_uid))
    except KeyError:
        return Account(name=str(status.st_uid), uid=status.st_uid, gid=status.st_gid)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
