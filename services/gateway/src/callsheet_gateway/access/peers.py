"""Where a request comes from, and under which address its sender knows this gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
"""Stands for a client without an address, as on a socket of the file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a request, proxies passed over."""

    address: str
    scheme: str
    host: str
    """Host and port as the client wrote them."""

    @property
    def origin(self) -> str:
        """What a browser calls the page of this gateway."""
        return f"{self.scheme}://{self.host}".lower()

    @property
    def is_https(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.scheme == "https"


class Proxies:
    """The proxies whose word counts."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = networks

    def peer(self, scope: Scope) -> Peer:
        """Return where a request comes from.

        X-Forwarded-For, -Proto and -Host count where a trusted proxy sent them: the address is the last
        one that is no trusted proxy's, the others are what the nearest proxy says.
        """
        headers = Headers(scope=scope)
        client: tuple[str, int] | None = scope.get("client")
        address = client[0] if client else UNKNOWN
        scheme, host = str(scope.get("scheme", "http")), headers.get("host", "")
        if self._trusts(address):
            scheme = _last(headers, "x-forwarded-proto") or scheme
            host = _last(headers, "x-forwarded-host") or host
            for said in reversed(_said(headers, "x-forwarded-for")):
                if _parsed(said) is None:
                    break
                address = said
                if not self._trusts(said):
                    break
        return Peer(address=address, scheme=scheme.lower(), host=host)

    def _trusts(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def parse_networks(text: str) -> list[Network]:
    """Return the networks of a list with commas.

    Raises:
        ValueError: One is none.
    """
    return [ip_network(part.strip()) for part in text.split(",") if part.strip()]


def _parsed(address: str) -> Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _said(headers: Headers, name: str) -> list[str]:
    return [part.strip() for value in headers.getlist(name) for part in value.split(",") if part.strip()]


def _last(headers: Headers, name: str) -> str:
    return next(reversed(_said(headers, name)), "")
