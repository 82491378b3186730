"""A CA for a test, and folders with what it issues."""

from datetime import datetime, timedelta
from pathlib import Path

from callsheet.authority import Authority, make_authority, write_credentials
from callsheet.identities import Identity, Role
from callsheet.service.clock import SystemClock
from callsheet.tls import TlsFolder

A_DAY = timedelta(days=1)


class Certificates:
    """What one CA issues, each in a folder of its own below *folder*."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or SystemClock().now()
        self.authority: Authority = make_authority(folder / "ca", now=self._now, life=A_DAY * 30)

    def issue(self, role: Role, name: str = "atlas", *, life: timedelta = A_DAY) -> Path:
        """Issue a certificate, or another in its place, and return its folder."""
        folder = self._folder / f"{role}-{name}"
        issued = self.authority.issue(Identity.named(role, name), now=self._now, life=life)
        write_credentials(folder, self.authority, *issued)
        return folder

    def tls(self, role: Role, name: str = "atlas") -> TlsFolder:
        """Issue a certificate and return it as channels take it."""
        return TlsFolder(self.issue(role, name))
