"""The client library: typed, async, safe to repeat."""

from callsheet.client.client import Client
from callsheet.client.repeating import Patience

__all__ = ["Client", "Patience"]
