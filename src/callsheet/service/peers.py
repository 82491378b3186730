"""Says who calls, by the certificate of the connection, and refuses who may not."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from callsheet.errors import DeniedError, UnauthenticatedError
from callsheet.identities import Identity, parse_identity
from callsheet.service.permissions import PERMISSIONS

TLS_VERSION: Final = b"TLSv1.3"


class Call(Protocol):
    """What a server knows of the connection of a call."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return the connection's properties; those of its certificate where it has one."""
        ...


def caller(call: Call) -> Identity | None:
    """Return whom the caller's certificate speaks for; None where the connection has no TLS.

    Raises:
        UnauthenticatedError: The certificate names nobody that Callsheet knows, or the TLS is too old.
    """
    known = call.auth_context()
    if b"ssl" not in known.get("transport_security_type", ()):
        return None
    if TLS_VERSION not in known.get("ssl_tls_version", ()):
        raise UnauthenticatedError("this scheduler speaks TLS 1.3 alone")
    for uri in known.get("peer_spiffe_id", ()):
        identity = parse_identity(uri.decode("utf-8", "replace"))
        if identity is not None:
            return identity
    raise UnauthenticatedError(
        "the certificate names no role and name as spiffe://callsheet/ROLE/NAME: "
        "issue one by `callsheet certs issue`"
    )


def check_caller(call: Call, method: str) -> None:
    """See that the caller's role may call *method*; nothing is known of one without TLS.

    Raises:
        UnauthenticatedError: As `caller` does.
        DeniedError: The role may not.
    """
    identity = caller(call)
    if identity is not None and identity.role not in PERMISSIONS.get(method, frozenset()):
        raise DeniedError(
            f"the role {identity.role} of {identity.name} may not call {method.removeprefix('/')}: "
            "use a certificate of a role that may"
        )
