"""/openapi.json and /docs: the description of REST, and a page for it that loads nothing from elsewhere."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from callsheet.errors import NotFoundError
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.ranges import is_known

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

SUPPLIER: Final = "fastapi_offline"
"""The package that brings the files of Swagger UI; it is not imported."""

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Scripts and styles come from this gateway's files alone; Swagger UI, seen in Chromium, needs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def _asset(content: bytes, media_type: str) -> Asset:
    return Asset(content=content, media_type=media_type, etag=f'"{sha256(content).hexdigest()[:32]}"')


def load_assets() -> dict[str, Asset]:
    """Return the files of the page by name.

    Raises:
        FileNotFoundError: The installation lacks one.
    """
    found = find_spec(SUPPLIER)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"the package {SUPPLIER} is not installed; install the gateway again")
    swagger = Path(found.origin).parent / "static"
    own = files("callsheet_gateway") / "assets"
    return {
        "swagger-ui.js": _asset((swagger / "swagger-ui-bundle.js").read_bytes(), "text/javascript"),
        "swagger-ui.css": _asset((swagger / "swagger-ui.css").read_bytes(), "text/css"),
        "docs.js": _asset((own / "docs.js").read_bytes(), "text/javascript"),
        "docs.html": _asset((own / "docs.html").read_bytes(), "text/html; charset=utf-8"),
    }


ASSETS: Final = load_assets()


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the description of REST."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return the page."""
    return _answer(request, ASSETS["docs.html"])


@router.get("/docs/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """Return a file of the page.

    Raises:
        NotFoundError: It has no such file.
    """
    if name not in ASSETS:
        raise NotFoundError(f"the page has no file {name[:64]}")
    return _answer(request, ASSETS[name])


def _answer(request: Request, asset: Asset) -> Response:
    headers = {
        "ETag": asset.etag,
        "Cache-Control": "public, max-age=3600, must-revalidate",
        "Content-Security-Policy": PAGE_POLICY,
    }
    if is_known(request.headers.get("if-none-match", ""), asset.etag):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
