"""A CA of one's own in a folder: makes it, and issues the certificates of services, workers and people."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from callsheet.errors import ConflictError, InvalidError
from callsheet.identities import SCHEDULER_NAME, Identity, Role
from callsheet.private_files import alone_in, write_private
from callsheet.tls import CA_FILE, CERTIFICATE_FILE, KEY_FILE, identity_of, read_credentials

CA_KEY_FILE: Final = "ca.key"

#: A certificate begins so long before it is made: clocks of hosts differ.
CLOCKS_DIFFER: Final = timedelta(minutes=5)

_DIGITAL: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_SIGNING: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, identity: Identity, *, now: datetime, life: timedelta) -> tuple[bytes, bytes]:
        """Return a new certificate and its new key, both PEM; it ends no later than the CA.

        A scheduler's bears the name that clients look for, and is the only kind that can serve.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if identity.role is Role.SCHEDULER:
            names.append(x509.DNSName(SCHEDULER_NAME))
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        ends_at = min(now + life, self.certificate.not_valid_after_utc)
        builder = (
            _begun(_named(identity.name), self.certificate.subject, key, now, ends_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_DIGITAL, critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM), _pem(key)


def make_authority(folder: Path, *, now: datetime, life: timedelta) -> Authority:
    """Make a CA in *folder*: ca.crt, and ca.key which only its owner may read.

    Raises:
        ConflictError: There is one already.
        InvalidError: The folder cannot be written.
    """
    with _alone_in(folder):
        for name in (CA_FILE, CA_KEY_FILE):
            if (folder / name).exists():
                said = f"{folder / name} is there already, and is not replaced: name another folder"
                raise ConflictError(said)
        made = _new_authority(now, life)
        _write(folder, CA_KEY_FILE, _pem(made.key), private=True)
        _write(folder, CA_FILE, made.certificate.public_bytes(Encoding.PEM), private=False)
    return made


def _new_authority(now: datetime, life: timedelta) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named("Callsheet CA")
    builder = (
        _begun(subject, subject, key, now, now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNING, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(certificate=builder.sign(key, SHA256()), key=key)


def read_authority(folder: Path) -> Authority:
    """Read the CA in *folder*.

    Raises:
        InvalidError: A file cannot be read, or is none that ``make_authority`` makes.
    """
    try:
        certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        key = load_pem_private_key((folder / CA_KEY_FILE).read_bytes(), password=None)
    except OSError as error:
        raise InvalidError(
            f"{error.filename} cannot be read ({error.strerror}): make a CA by `callsheet certs init`",
            field="--ca",
        ) from None
    except (ValueError, TypeError):
        raise _no_authority(folder) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise _no_authority(folder)
    return Authority(certificate=certificate, key=key)


def _no_authority(folder: Path) -> InvalidError:
    return InvalidError(
        f"{folder} holds no CA with its key: make one by `callsheet certs init`", field="--ca"
    )


def issue_into(
    folder: Path,
    ca: Authority,
    identity: Identity,
    *,
    now: datetime,
    life: timedelta,
    spare: timedelta | None = None,
) -> datetime | None:
    """Write ca.crt, tls.crt and tls.key; the key may be read by its owner alone.

    A certificate of the identity that is there and holds for longer than *spare* is left alone. Who issues
    into the same folder meanwhile waits.

    Returns:
        Until when the one that is left alone holds; None where one was issued.

    Raises:
        ConflictError: The folder holds a certificate of another identity.
        InvalidError: It cannot be written.
    """
    with _alone_in(folder):
        until = None if spare is None else _holds_until(folder, ca, identity, now)
        if until is not None and spare is not None and until - now > spare:
            return until
        _check_same(folder / CERTIFICATE_FILE, identity)
        certificate, key = ca.issue(identity, now=now, life=life)
        _write(folder, CA_FILE, ca.certificate.public_bytes(Encoding.PEM), private=False)
        _write(folder, KEY_FILE, key, private=True)
        _write(folder, CERTIFICATE_FILE, certificate, private=False)
        return None


def _holds_until(folder: Path, ca: Authority, identity: Identity, now: datetime) -> datetime | None:
    """Return until when the certificate in *folder* serves *identity*; None where it has to be issued."""
    try:
        there = read_credentials(folder)
    except InvalidError:
        return None
    ours = ca.certificate.public_bytes(Encoding.PEM) in there.ca
    return there.ends_at if ours and there.identity == identity and not there.trouble(now) else None


def _check_same(path: Path, identity: Identity) -> None:
    try:
        old = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return
    there = identity_of(old)
    if there != identity:
        whose = "somebody else" if there is None else there.uri
        raise ConflictError(f"{path} is the certificate of {whose}: name another folder, or remove it")


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(ends_at)
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(alone_in(folder))
        except OSError as error:
            raise InvalidError(f"{folder} cannot be written: {error.strerror}") from None
        yield


def _write(folder: Path, name: str, content: bytes, *, private: bool) -> None:
    try:
        write_private(folder / name, content.decode("ascii"))
        if not private:
            (folder / name).chmod(0o644)
    except OSError as error:
        raise InvalidError(f"{folder / name} cannot be written: {error.strerror}") from None
