"""Whose word counts for where a request comes from."""

import pytest
from callsheet_gateway.access.peers import UNKNOWN, Proxies, parse_networks

PROXIES = Proxies(parse_networks("10.0.0.0/8, ::1, 192.0.2.7"))


def scope(client: str | None, **headers: str) -> dict[str, object]:
    said = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "client": client and (client, 1234),
        "scheme": "http",
        "headers": [(b"host", b"inner:8080"), *said],
    }


@pytest.mark.parametrize(
    ("client", "said", "address"),
    [
        ("198.51.100.1", "203.0.113.5", "198.51.100.1"),
        ("10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("::ffff:10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.1.2.3", "203.0.113.9, 203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("10.1.2.3", "203.0.113.9, nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "10.4.4.4, 10.5.5.5", "10.4.4.4"),
        (None, "203.0.113.5", UNKNOWN),
    ],
)
def test_address_is_the_last_that_no_trusted_proxy_has(client: str | None, said: str, address: str) -> None:
    assert PROXIES.peer(scope(client, x_forwarded_for=said)).address == address


def test_only_a_trusted_proxy_says_scheme_and_host() -> None:
    said = {"x_forwarded_proto": "https", "x_forwarded_host": "Callsheet.example"}
    assert PROXIES.peer(scope("198.51.100.1", **said)).origin == "http://inner:8080"
    peer = PROXIES.peer(scope("10.0.0.1", **said))
    assert (peer.origin, peer.is_https) == ("https://callsheet.example", True)
    assert PROXIES.peer(scope("10.0.0.1")).origin == "http://inner:8080"


def test_what_is_no_network_is_refused() -> None:
    for wrong in ("10.0.0.1/8", "proxy.example", "10.0.0.0/40"):
        with pytest.raises(ValueError, match=wrong.split("/")[0]):
            parse_networks(wrong)
