"""Addresses as settings and schedulers name them: host:port, and nothing that gRPC could take for more."""

import re
from ipaddress import ip_address
from typing import Final

#: Longest address; a host name has at most 253 characters.
ADDRESS_MAX: Final = 260

#: A host name, an IPv4 address or an IPv6 address in brackets; no scheme, no list, no path.
_HOST_PORT: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})"
)

_PORT_MAX: Final = 65_535


def split_address(address: str) -> tuple[str, int]:
    """Return host, without brackets, and port of *address*.

    Raises:
        ValueError: It is not host:port.
    """
    found = _HOST_PORT.fullmatch(address) if len(address) <= ADDRESS_MAX else None
    if found is None or int(found[2]) > _PORT_MAX:
        raise ValueError("must be host:port, as 10.0.0.1:7420, scheduler-0:7420 or [::1]:7420")
    return found[1].strip("[]"), int(found[2])


def join_address(host: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine and reached by nobody else. A name other than localhost is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_wildcard(host: str) -> bool:
    """Say whether *host* stands for every address of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
