"""Token buckets: how often something may be done by each of many."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

KEPT_MAX: Final = 20_000
"""Buckets that are remembered; the one that was touched longest ago goes first."""
IPV6_BITS: Final = 64
"""What one subscriber has of IPv6."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Buckets:
    """One bucket for each name, full at first."""

    def __init__(self, *, per_s: float, burst: float, kept_max: int = KEPT_MAX) -> None:
        """Prepare buckets that hold *burst* and gain *per_s*; 0 is without a limit."""
        self._per_s = per_s
        self._burst = burst
        self._kept_max = kept_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, *, now: float) -> float:
        """Take one; return 0, or after how many seconds there is one again."""
        wait_s = self.wait_s(name, now=now)
        if not wait_s and self._per_s:
            self._buckets[name].left -= 1
        return wait_s

    def wait_s(self, name: str, *, now: float) -> float:
        """Return after how many seconds one could be taken; takes none."""
        if not self._per_s:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
            if len(self._buckets) > self._kept_max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.left = min(self._burst, bucket.left + max(0.0, now - bucket.at) * self._per_s)
        bucket.at = now
        return 0.0 if bucket.left >= 1 else (1 - bucket.left) / self._per_s


def subscriber(address: str) -> str:
    """Return what stands for all addresses of one subscriber: an IPv6 network, or the address itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((int(parsed), IPV6_BITS), strict=False))
    return str(parsed)
