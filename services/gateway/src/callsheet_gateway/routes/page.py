"""/ and the addresses of its views: the page that people use, and its files."""

import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from callsheet.errors import NotFoundError
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.nonces import page_response
from callsheet_gateway.state import GatewayState

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

BUILT: Final = Path(__file__).parents[1] / "page"
"""Where the build of this installation lies."""
ABSENT: Final = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Callsheet</title></head>
<body>
<h1>Callsheet runs, but its page is not built</h1>
<p>In a checkout, <code>make page</code> builds it; that needs Node 20.19 or a network.
Then load this address again. A built page elsewhere is named by <code>CALLSHEET_PAGE</code>.</p>
<p>REST works without it: <a href="/docs">/docs</a> describes it.</p>
</body>
</html>
"""
MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(\.[a-z0-9]{1,10}){1,2}")


@router.get("/")
@router.get("/jobs")
@router.get("/jobs/{job_id}")
@router.get("/library")
@router.get("/library/{item_id}")
@router.get("/fleet")
@router.get("/queue")
@router.get("/cache")
@router.get("/schedules")
@router.get("/immich")
@router.get("/access")
async def page(state: GatewayState) -> Response:
    """Return the page; which view it shows is up to its address."""
    folder = state.settings.page or BUILT
    try:
        text = await run_in_threadpool((folder / "index.html").read_text, encoding="utf-8")
    except FileNotFoundError:
        return HTMLResponse(ABSENT, status_code=503, headers={"Cache-Control": "no-store"})
    return page_response(text)


@router.get("/assets/{name}")
async def asset(request: Request, state: GatewayState, name: str) -> Response:
    """Return a file of the page. Its name changes with its content, so it is good for ever.

    Raises:
        NotFoundError: The page has no such file.
    """
    path = (state.settings.page or BUILT) / "assets" / name
    if not _NAME.fullmatch(name) or path.suffix not in MEDIA_TYPES:
        raise NotFoundError(f"the page has no file {name[:64]}")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    squeezed = path.with_name(f"{name}.gz")
    try:
        if "gzip" in request.headers.get("accept-encoding", "") and squeezed.exists():
            content = await run_in_threadpool(squeezed.read_bytes)
            headers["Content-Encoding"] = "gzip"
        else:
            content = await run_in_threadpool(path.read_bytes)
    except FileNotFoundError as error:
        raise NotFoundError(f"the page has no file {name[:64]}; load the page again") from error
    return Response(content, media_type=MEDIA_TYPES[path.suffix], headers=headers)
