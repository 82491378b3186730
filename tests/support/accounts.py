"""An ordinary account for tests that run as root."""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

#: Whether it can import this code and start itself again; setpriv alone may exec what its account may not.
_PROOF: Final = (
    "import subprocess, sys, callsheet_scheduler.local.up, callsheet.cli.app;"
    "subprocess.run([sys.executable, '-c', ''], check=True)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryAccount:
    """How to run Python as somebody who is not root."""

    python: tuple[str, ...]
    """The command that runs this Python with this code."""
    uid: int
    """Who must own what it writes, as this process sees it."""

    def give(self, folder: Path) -> None:
        """Make *folder* its own."""
        os.chown(folder, self.uid, -1)


def ordinary_account() -> OrdinaryAccount:
    """Return an account that can run this Python: our own, else nobody, else one in a user namespace.

    The test is skipped where there is none.
    """
    if os.geteuid() != 0:
        return OrdinaryAccount(python=(sys.executable,), uid=os.geteuid())
    nobody = pwd.getpwnam("nobody")
    setpriv = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    unshare = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    for wrapper, uid in ((setpriv, nobody.pw_uid), (unshare, 0)):
        found = OrdinaryAccount(python=(*wrapper, sys.executable), uid=uid)
        if shutil.which(wrapper[0]) and _runs(found):
            return found
    pytest.skip("neither nobody nor a user namespace can run this Python")


def _runs(account: OrdinaryAccount) -> bool:
    command = (*account.python, "-c", _PROOF)
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
