"""Reads the certificate, key and CA that a process shows and trusts, again whenever their files change."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, cast

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from callsheet.errors import InvalidError
from callsheet.identities import Identity, parse_identity

log = logging.getLogger(__name__)

#: The files of a folder; they are named as in a Secret of Kubernetes of the type kubernetes.io/tls.
CA_FILE: Final = "ca.crt"
CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"

#: Bytes of one file that are read at most.
FILE_BYTES_MAX: Final = 256 * 1024

_FIELD: Final = "CALLSHEET_TLS_DIR"

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one side of a connection shows and trusts."""

    ca: bytes
    """PEM, one certificate or several."""
    certificate: bytes
    """PEM, the own one first."""
    key: bytes = field(repr=False)
    """PEM."""
    identity: Identity
    begins_at: datetime
    ends_at: datetime

    def trouble(self, now: datetime) -> str:
        """Return why others refuse these credentials at *now*; empty where nothing speaks against them."""
        if now >= self.ends_at:
            return f"the certificate of {self.identity.uri} ended at {self.ends_at:%Y-%m-%d %H:%M} UTC"
        if now < self.begins_at:
            return (
                f"the certificate of {self.identity.uri} begins at {self.begins_at:%Y-%m-%d %H:%M} UTC, "
                "which is yet to come: is the clock right?"
            )
        own = x509.load_pem_x509_certificates(self.certificate)
        if not any(_issued(own[-1], one) for one in x509.load_pem_x509_certificates(self.ca)):
            return f"the certificate of {self.identity.uri} is not one of the CA beside it, {CA_FILE}"
        return ""


class TlsFolder:
    """The credentials in a folder, as they are at present."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Raises:
            InvalidError: A file is missing or says nothing sensible, or they do not belong together.
        """
        self.path = path
        self._stamp = self._stamped()
        self._credentials: Credentials = read_credentials(path)

    @property
    def newest(self) -> Credentials:
        """The credentials; while those in the files do not fit together, the last that did.

        May be asked by any thread.
        """
        stamp = self._stamped()
        if stamp != self._stamp:
            try:
                found = read_credentials(self.path)
            except InvalidError as error:
                log.warning("new certificates are not taken yet: %s", error.message)
            else:
                if found != self._credentials:
                    self._credentials = found
                    until = found.ends_at.isoformat()
                    log.info("new certificates are taken", extra={"tls_dir": str(self.path), "until": until})
            self._stamp = stamp
        return self._credentials

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return what a server listens with: each new connection is given the newest credentials."""
        shown = self.newest

        def configured() -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration([(shown.key, shown.certificate)], shown.ca)

        def fetch() -> grpc.ServerCertificateConfiguration:
            nonlocal shown
            newest = self.newest
            if newest is shown:
                return cast("grpc.ServerCertificateConfiguration", None)  # as before, which the stubs forget
            shown = newest
            return configured()

        return grpc.dynamic_ssl_server_credentials(configured(), fetch, require_client_authentication=True)

    def _stamped(self) -> _Stamp:
        return tuple(_stamp(self.path / name) for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE))


def channel_credentials(shown: Credentials) -> grpc.ChannelCredentials:
    """Return what a client connects with."""
    return grpc.ssl_channel_credentials(shown.ca, shown.key, shown.certificate)


def read_credentials(folder: Path) -> Credentials:
    """Read the three files of *folder*.

    Raises:
        InvalidError: A file is missing or says nothing sensible, or they do not belong together.
    """
    ca, certificate, key = (_content(folder / name) for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE))
    _certificates(folder / CA_FILE, ca)
    own = _certificates(folder / CERTIFICATE_FILE, certificate)[0]
    if _public_key(folder / KEY_FILE, key) != _encoded(own):
        raise InvalidError(
            f"{folder / KEY_FILE} is not the key of {folder / CERTIFICATE_FILE}: "
            "put in their place a pair that belongs together",
            field=_FIELD,
        )
    identity = identity_of(own)
    if identity is None:
        raise InvalidError(
            f"{folder / CERTIFICATE_FILE} names no role and name as spiffe://callsheet/ROLE/NAME: "
            "issue one by `callsheet certs issue`",
            field=_FIELD,
        )
    return Credentials(
        ca=ca,
        certificate=certificate,
        key=key,
        identity=identity,
        begins_at=own.not_valid_before_utc,
        ends_at=own.not_valid_after_utc,
    )


def identity_of(certificate: x509.Certificate) -> Identity | None:
    """Return whom a certificate speaks for; None for nobody that Callsheet knows."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return parse_identity(uris[0]) if len(uris) == 1 else None


def _issued(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 -- whatever is wrong with it, it did not
        return False
    return True


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise InvalidError(f"{path} holds no certificate in PEM: put one there", field=_FIELD) from None


def _public_key(path: Path, content: bytes) -> bytes:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidError(f"{path} holds no private key in PEM without password", field=_FIELD) from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise InvalidError(
            f"{path} cannot be read ({error.strerror}): CALLSHEET_TLS_DIR names a folder with {CA_FILE}, "
            f"{CERTIFICATE_FILE} and {KEY_FILE}, as `callsheet certs issue` makes one",
            field=_FIELD,
        ) from None


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file does: ctime too, so that one whose owner is put right is read again."""
    try:
        known = path.stat()
    except OSError:
        return (0, 0, 0)
    return (known.st_ctime_ns, known.st_ino, known.st_size)
