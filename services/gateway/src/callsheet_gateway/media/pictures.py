"""Answers with the bytes of a derivative: read safely, whole, in part, or not at all where they are known."""

from hashlib import sha256
from typing import Final

from fastapi import Request, Response

from callsheet.errors import AttemptError, BadInputError, NotFoundError, StateError, UnavailableError
from callsheet.v1.library_service_pb2 import DerivativeFacts
from callsheet.worker.threads import in_thread
from callsheet_gateway.media.ranges import Part, is_known, wanted_part
from callsheet_gateway.state import State

SERVED_TYPES: Final = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/avif", "application/json", "text/vtt"}
)
"""Media types that are said as they are; anything else is bytes, which no browser runs."""

REMEDY: Final = "a job of the type derivatives_generate with force makes it again"


def etag_of(facts: DerivativeFacts) -> str:
    """Return the entity tag, with its quotes: another publication has another, be the picture the same."""
    named = facts.inline or f"{facts.root}\n{facts.path}\n{facts.size_bytes}".encode()
    return f'"{sha256(named).hexdigest()[:32]}"'


async def answer_with(request: Request, state: State, facts: DerivativeFacts) -> Response:
    """Return the answer to a request for a derivative.

    Raises:
        StateError: It lies in a root that this gateway does not reach, or is too large.
        NotFoundError: Its file is gone.
        UnavailableError: Its root cannot be read now.
        UnsatisfiableError: There are fewer bytes than those that are asked for.
    """
    state.views.note(facts.item_id)
    etag = etag_of(facts)
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={state.settings.picture_fresh_s}, must-revalidate",
        "Accept-Ranges": "bytes",
    }
    if is_known(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    media_type = facts.media_type if facts.media_type in SERVED_TYPES else "application/octet-stream"
    asked = request.headers.get("range", ""), request.headers.get("if-range", "")
    size_bytes = len(facts.inline) or facts.size_bytes
    part = wanted_part(*asked, etag, size_bytes)
    sent = part or Part(first=0, last=size_bytes - 1)
    content = facts.inline[sent.first : sent.last + 1] or await _read(state, facts, sent)
    if part is None:
        return Response(content, media_type=media_type, headers=headers)
    headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size_bytes}"
    return Response(content, status_code=206, media_type=media_type, headers=headers)


async def _read(state: State, facts: DerivativeFacts, part: Part) -> bytes:
    if facts.root not in state.roots:
        raise StateError(
            f"the picture lies in the root {facts.root}, which this gateway does not reach; "
            "name it in CALLSHEET_ROOTS"
        )
    if facts.size_bytes > state.settings.picture_bytes_max:
        raise StateError(
            f"the picture has {facts.size_bytes:,} bytes, more than CALLSHEET_PICTURE_BYTES_MAX allows"
        )
    length = part.last + 1 - part.first
    try:
        piece = await in_thread(lambda: state.roots.read(facts.root, facts.path, part.first, length))
    except BadInputError as error:
        raise NotFoundError(f"the picture is gone or cannot be served; {REMEDY}") from error
    except AttemptError as error:
        raise UnavailableError(f"the picture cannot be read now: {error.message}") from error
    if piece.size_bytes != facts.size_bytes or len(piece.content) != length:
        raise NotFoundError(f"the picture is not whole any more; {REMEDY}")
    return piece.content
