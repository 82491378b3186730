"""The client library: typed, async, safe to repeat."""

from callsheet.client.client import Client
from callsheet.client.repeating import Patience
from callsheet.client.steering import Limit

__all__ = ["Client", "Limit", "Patience"]
