"""Answers with a page whose scripts and styles carry a nonce of this answer alone."""

import secrets
from typing import Final

from fastapi.responses import HTMLResponse

PLACEHOLDER: Final = "__CSP_NONCE__"
"""Stands in a page where its nonce belongs."""

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""What the page may load: what this gateway serves, and styles that its own scripts add."""


def page_response(page: str) -> HTMLResponse:
    """Return an answer with *page*, its placeholders replaced by a new nonce; it is kept by nobody."""
    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(
        page.replace(PLACEHOLDER, nonce),
        headers={
            "Content-Security-Policy": POLICY.replace("{nonce}", nonce),
            "Cache-Control": "no-store",
        },
    )
