"""A target is one address, or several that gRPC can try."""

import pytest

from callsheet.channel import target_uri
from callsheet.errors import InvalidError


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("127.0.0.1:7420", "127.0.0.1:7420"),
        (" scheduler.callsheet.svc:7420 ", "scheduler.callsheet.svc:7420"),
        ("10.0.0.1:7420, 10.0.0.2:7420", "ipv4:10.0.0.1:7420,10.0.0.2:7420"),
        ("[::1]:7420,[::2]:7420,", "ipv6:[::1]:7420,[::2]:7420"),
    ],
)
def test_targets_that_can_be(target: str, uri: str) -> None:
    assert target_uri(target) == uri


@pytest.mark.parametrize("target", ["", " , ", "a:1,b:2", "10.0.0.1:1,[::1]:1"])
def test_targets_that_cannot_be(target: str) -> None:
    with pytest.raises(InvalidError) as caught:
        target_uri(target)

    assert caught.value.field == "scheduler"
