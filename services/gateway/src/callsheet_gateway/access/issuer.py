"""An OpenID Connect issuer: finds its keys, keeps them, and asks again when it signs with another."""

import asyncio
import json
import logging
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
import jwt

from callsheet.errors import UnavailableError
from callsheet.service.clock import Clock
from callsheet.within import within

log = logging.getLogger(__name__)

#: The kinds of key that an algorithm works with. Nothing else is ever taken: no HS256, no none.
FAMILIES: Final[Mapping[str, str]] = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}
DISCOVERY: Final = "/.well-known/openid-configuration"
ANSWER_BYTES_MAX: Final = 512 * 1024
"""The longest answer of an issuer that is read."""
KEYS_MAX: Final = 100
FETCH_S: Final = 5.0
"""How long both questions to an issuer may take together."""
FRESH_S: Final = 3600.0
"""After how many seconds the keys are asked for again."""
AGAIN_S: Final = 30.0
"""The shortest time between two askings, whatever tokens say."""
KEPT_S: Final = 86_400.0
"""For how long the keys of an issuer that does not answer count."""

Jwk = dict[str, Any]


class Issuer:
    """The keys of one issuer."""

    def __init__(
        self,
        address: str,
        *,
        audience: str,
        algorithms: frozenset[str],
        http: httpx.AsyncClient,
        clock: Clock,
    ) -> None:
        """Prepare to ask; nothing is asked before the first token comes.

        Args:
            address: What tokens have as their issuer, and below which the discovery document lies.
            audience: What tokens have to be meant for.
            algorithms: Those that are taken, out of FAMILIES.
            http: Follows no redirects.
            clock: For the age of the keys.
        """
        self.address = address
        self.audience = audience
        self._algorithms = algorithms & FAMILIES.keys()
        self._http = http
        self._clock = clock
        self._keys: list[Jwk] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._turn = asyncio.Lock()

    async def key_for(self, header: Mapping[str, object]) -> jwt.PyJWK:
        """Return the key that a token with this header is to be checked with.

        Raises:
            jwt.InvalidTokenError: There is none, or its algorithm is not taken.
            UnavailableError: The issuer does not answer.
        """
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise jwt.InvalidAlgorithmError("its algorithm is not taken here")
        found = self._found(kid, algorithm)
        if found is None or self._age() > FRESH_S:
            await self._refresh(kid, algorithm)
            found = self._found(kid, algorithm)
        if found is None:
            raise jwt.InvalidKeyError("its issuer has no such key")
        return jwt.PyJWK(found, algorithm=algorithm)

    def _found(self, kid: object, algorithm: str) -> Jwk | None:
        fitting = [
            key
            for key in self._keys
            if key.get("kty") == FAMILIES[algorithm]
            and key.get("alg", algorithm) == algorithm
            and key.get("use", "sig") == "sig"
            and (kid is None or key.get("kid") == kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    async def _refresh(self, kid: object, algorithm: str) -> None:
        async with self._turn:
            now = self._clock.monotonic()
            if self._found(kid, algorithm) is not None and self._age() <= FRESH_S:
                return
            if self._tried_at is None or now - self._tried_at >= AGAIN_S:
                self._tried_at = now
                try:
                    self._keys = await self._fetch()
                    self._fetched_at = now
                except (httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
                    log.warning("the issuer's keys cannot be had: %s", str(error) or type(error).__name__)
            if self._age() > KEPT_S:
                self._keys = []
                raise UnavailableError("the issuer of tokens does not answer; repeat the request")

    async def _fetch(self) -> list[Jwk]:
        async with within(FETCH_S):
            found = await self._document(self.address.rstrip("/") + DISCOVERY)
            if found.get("issuer") != self.address:
                raise ValueError(f"its discovery document is of another issuer than {self.address}")
            place = found.get("jwks_uri")
            if not isinstance(place, str) or not is_private_way(place):
                raise ValueError("its discovery document has no jwks_uri with https")
            listed = (await self._document(place)).get("keys")
        if not isinstance(listed, list):
            raise ValueError("its keys are no list")  # noqa: TRY004 -- what is wrong is a document
        keys = [cast("Jwk", key) for key in cast("list[object]", listed) if isinstance(key, dict)]
        return keys[:KEYS_MAX]

    async def _document(self, place: str) -> dict[str, object]:
        async with self._http.stream("GET", place, headers={"Accept": "application/json"}) as answer:
            if not answer.is_success:
                raise ValueError(f"{place} answers {answer.status_code}")
            content = bytearray()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > ANSWER_BYTES_MAX:
                    raise ValueError(f"{place} answers more than {ANSWER_BYTES_MAX:,} bytes")
        found: object = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError(f"{place} answers no JSON object")  # noqa: TRY004 -- as above
        return cast("dict[str, object]", found)


def is_private_way(address: str) -> bool:
    """Return whether nobody can alter what comes from an address: https, or this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http" or not parts.hostname:
        return False
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
