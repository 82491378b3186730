"""A call over a connection without TLS, as far as services look at it."""

from collections.abc import Iterable, Mapping


class PlainCall:
    """Tells that nobody showed a certificate."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return nothing."""
        return {}
