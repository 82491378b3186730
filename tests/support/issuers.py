"""A small OpenID Connect issuer on loopback, whose keys can be changed and faults switched on."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callsheet.service.clock import SystemClock

AUDIENCE = "media"
VALID_S = 60.0
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make_private(algorithm: str) -> Private:
    """Return a new private key for an algorithm."""
    match algorithm[:2]:
        case "RS" | "PS":
            return rsa.generate_private_key(65537, 2048)
        case "ES":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(private: Private) -> dict[str, Any]:
    """Return the public half as a JWK."""
    public = private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return RSAAlgorithm.to_jwk(public, as_dict=True)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(public, as_dict=True)
    return OKPAlgorithm.to_jwk(public, as_dict=True)


@dataclass(slots=True)
class SmallIssuer:
    """Its keys by kid, and what it does wrong."""

    address: str = ""
    keys: dict[str, tuple[str, Private]] = field(default_factory=dict[str, tuple[str, Private]])
    asked: int = 0
    """How often its keys were fetched."""
    silent: bool = False
    """It never answers."""
    ballast_bytes: int = 0
    other_name: str = ""
    """Its discovery document is of another issuer."""
    elsewhere: str = ""
    """Where its keys are said to lie."""

    def add_key(self, kid: str, algorithm: str) -> None:
        """Sign with a new key as well."""
        self.keys[kid] = (algorithm, make_private(algorithm))

    def token(
        self,
        kid: str,
        claims: Mapping[str, object] | None = None,
        header: Mapping[str, str | None] | None = None,
    ) -> str:
        """Return a token; *claims* replace those of a good one, None leaves one out."""
        algorithm, private = self.keys[kid]
        now = SystemClock().now().timestamp()
        usual = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "alice",
            "exp": now + VALID_S,
            "role": "OPERATOR",
        }
        said = {name: value for name, value in (usual | dict(claims or {})).items() if value is not None}
        return jwt.encode(said, private, algorithm=algorithm, headers={"kid": kid, **(header or {})})

    async def discovery(self, _: Request) -> Response:
        """Answer the discovery document."""
        await self._ready()
        place = self.elsewhere or f"{self.address}/keys"
        return JSONResponse({"issuer": self.other_name or self.address, "jwks_uri": place})

    async def jwks(self, _: Request) -> Response:
        """Answer the keys."""
        await self._ready()
        self.asked += 1
        keys = [{"kid": kid, "use": "sig"} | public_jwk(private) for kid, (_, private) in self.keys.items()]
        return Response(json.dumps({"keys": keys, "ballast": "x" * self.ballast_bytes}))

    async def _ready(self) -> None:
        if self.silent:
            await asyncio.Event().wait()


@asynccontextmanager
async def small_issuer() -> AsyncGenerator[SmallIssuer]:
    """Run an issuer."""
    issuer = SmallIssuer()
    routes = [
        Route("/.well-known/openid-configuration", issuer.discovery),
        Route("/keys", issuer.jwks),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_config=None, lifespan="off", ws="none")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        issuer.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield issuer
        finally:
            server.should_exit = True
            await serving
