"""A CA for a test, and folders with what it issues."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from callsheet.authority import Authority, issue_into, make_authority
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
        issue_into(folder, self.authority, Identity.named(role, name), now=self._now, life=life)
        return folder

    def tls(self, role: Role, name: str = "atlas") -> TlsFolder:
        """Issue a certificate and return it as channels take it."""
        return TlsFolder(self.issue(role, name))


class Served(NamedTuple):
    """Files of a server that is none of ours."""

    authority: Path
    """The CA that issued its certificate."""
    certificate: Path
    key: Path


def served_on_loopback(folder: Path) -> Served:
    """Issue a certificate for 127.0.0.1 under a CA that no machine knows."""
    authority = make_authority(folder / "authority", now=SystemClock().now(), life=A_DAY * 2)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.certificate.not_valid_before_utc)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, SHA256())
    )
    served = Served(*(folder / name for name in ("authority.pem", "server.pem", "server.key")))
    served.authority.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    served.certificate.write_bytes(issued.public_bytes(Encoding.PEM))
    served.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return served
