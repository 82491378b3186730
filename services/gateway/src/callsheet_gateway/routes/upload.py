"""/api/media/upload: originals that are sent in pieces, by the tus protocol 1.0."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from typing_extensions import override

from callsheet.errors import CallsheetError, NotFoundError
from callsheet_gateway.access.callers import Caller, RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.border import PIECE_TYPE, UPLOADS
from callsheet_gateway.openapi import problems
from callsheet_gateway.problems import response_to
from callsheet_gateway.schemas.library import item_view
from callsheet_gateway.schemas.uploads import UploadQuestion, UploadView
from callsheet_gateway.state import GatewayState, State
from callsheet_gateway.uploads.names import wish_of
from callsheet_gateway.uploads.protocol import (
    ALGORITHMS,
    EXTENSIONS,
    VERSION,
    check_piece_type,
    check_version,
    checksum_of,
    metadata_of,
    number,
)
from callsheet_gateway.uploads.receiving import Upload
from callsheet_gateway.uploads.records import Standing
from callsheet_gateway.uploads.registering import Registered


class TusRoute(GuardedRoute):
    """A route that names the protocol's version in every answer, and takes as long as its client does."""

    has_deadline = False

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return the handler with the header in all that it answers."""
        handle = super().get_route_handler()

        async def versioned(request: Request) -> Response:
            try:
                answer = await handle(request)
            except CallsheetError as error:
                answer = response_to(error)
            except HTTPException as error:
                error.headers = {**(error.headers or {}), "Tus-Resumable": VERSION}
                raise
            answer.headers["Tus-Resumable"] = VERSION
            return answer

        return versioned


router = APIRouter(prefix=UPLOADS, tags=["uploads"], route_class=TusRoute)

Resumable = Annotated[str | None, Header(alias="Tus-Resumable", description=f"Must be {VERSION}.")]
Sum = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        description=f"{' or '.join(ALGORITHMS)}, a space, and the digest of this piece in Base64; a piece "
        "that is something else is answered 460 and forgotten.",
    ),
]
_PIECE: Final[dict[str, Any]] = {
    "requestBody": {"content": {PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_SAID: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "Upload-Offset says how many bytes have arrived."}
}
_SETTLED: Final = (409, 412, 413, 415, 423, 460, 507)


@router.options("", status_code=204)
async def describe_uploads(state: GatewayState) -> Response:
    """Say which version and extensions of tus are spoken here, and how long an upload may be."""
    return Response(
        status_code=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": ",".join(EXTENSIONS),
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            "Tus-Max-Size": str(state.settings.upload_bytes_max),
        },
    )


@router.post(
    "",
    status_code=201,
    responses=problems(400, *_SETTLED),
    openapi_extra={**_PIECE},
)
async def create_upload(  # noqa: PLR0913, PLR0917 -- one for each header that the protocol has
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    response: Response,
    asked: Annotated[UploadQuestion, Query()],
    resumable: Resumable = None,
    length: Annotated[str | None, Header(alias="Upload-Length", description="Bytes of the whole.")] = None,
    metadata: Annotated[
        str | None,
        Header(
            alias="Upload-Metadata",
            description="Pairs of a key and its value in Base64, separated by commas: filename, root, "
            "folder, collection. Other keys are given back by HEAD and mean nothing here.",
        ),
    ] = None,
    checksum: Sum = None,
) -> UploadView:
    """Begin an upload; a body is its first piece. Location names it."""
    check_version(resumable)
    size, wish = number("Upload-Length", length), wish_of(metadata_of(metadata))
    expected = checksum_of(checksum)
    has_piece = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    if has_piece:
        check_piece_type(request.headers.get("content-type"))
    upload = await state.uploads.create(
        wish, length=size, metadata=metadata or "", wait=asked.wait, by=caller.name
    )
    response.headers["Location"] = f"{UPLOADS}/{upload.record.id}"
    if has_piece:
        upload = await state.uploads.append(upload, 0, request.stream(), expected)
    return await _answer(state, upload, response, wait=asked.wait)


@router.get("/{upload_id}", responses=problems(404, 412))
async def show_upload(
    state: GatewayState,
    caller: RequestCaller,
    response: Response,
    upload_id: str,
    resumable: Resumable = None,
) -> UploadView:
    """Tell how far an upload is: HEAD, as tus has it, in the headers, GET also as JSON."""
    if resumable is not None:
        check_version(resumable)
    upload = await _own(state, caller, upload_id)
    if upload.record.metadata:
        response.headers["Upload-Metadata"] = upload.record.metadata
    return await _answer(state, upload, response, wait=False)


@router.patch(
    "/{upload_id}",
    status_code=204,
    responses=problems(400, 404, *_SETTLED, also=_SAID),
    openapi_extra={**_PIECE},
)
async def append_to_upload(
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    upload_id: str,
    asked: Annotated[UploadQuestion, Query()],
    resumable: Resumable = None,
    offset: Annotated[
        str | None, Header(alias="Upload-Offset", description="Where the piece begins: what HEAD says.")
    ] = None,
    checksum: Sum = None,
) -> Response:
    """Add a piece. The answer to the last names the item, Callsheet-Item, and its jobs, Callsheet-Jobs."""
    check_version(resumable)
    check_piece_type(request.headers.get("content-type"))
    at, expected = number("Upload-Offset", offset), checksum_of(checksum)
    upload = await _own(state, caller, upload_id)
    upload = await state.uploads.append(upload, at, request.stream(), expected)
    response = Response(status_code=204)
    await _answer(state, upload, response, wait=asked.wait)
    return response


@router.delete("/{upload_id}", status_code=204, responses=problems(404, 409, 412, 423))
async def end_upload(
    state: GatewayState, caller: RequestCaller, upload_id: str, resumable: Resumable = None
) -> Response:
    """End an upload that is not complete, and remove what came of it."""
    check_version(resumable)
    await state.uploads.remove(await _own(state, caller, upload_id))
    return Response(status_code=204)


async def _own(state: State, caller: Caller, upload_id: str) -> Upload:
    """Return an upload that the caller may know of: its own, or for operators any.

    Raises:
        NotFoundError: There is no such upload.
    """
    upload = await state.uploads.find(upload_id)
    if upload.record.by != caller.name and not caller.sees_all:
        raise NotFoundError(f"there is no upload {upload_id[:64]}, or it was given up; begin again")
    return upload


async def _answer(state: State, upload: Upload, response: Response, *, wait: bool) -> UploadView:
    """Put a whole upload in its place, and say in headers and model how far it is."""
    upload = await state.uploads.placed(upload)
    outcome: Registered | None = None
    if upload.standing is Standing.PLACED:
        upload, outcome = await state.uploads.settled(upload, wait=wait)
    ends_at = state.uploads.expires_at(upload)
    response.headers.update(_headers(upload, outcome, ends_at))
    record = upload.record
    item = outcome.item if outcome else None
    return UploadView(
        id=record.id,
        root=upload.arrivals.root,
        folder=record.folder,
        filename=record.name,
        path=record.path if outcome else None,
        collection=record.collection or None,
        length=record.length,
        offset=upload.offset,
        complete=outcome is not None,
        sha256=record.sha256 if outcome else None,
        expires_at=ends_at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if ends_at else None,
        job_ids=list(outcome.jobs) if outcome else [],
        item_id=item.id if item else None,
        item=item_view(item, state.roots.link) if item else None,
    )


def _headers(upload: Upload, outcome: Registered | None, ends_at: datetime | None) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.record.length),
        "Cache-Control": "no-store",
    }
    if ends_at is not None:
        headers["Upload-Expires"] = format_datetime(ends_at, usegmt=True)
    if outcome is not None:
        headers["Callsheet-Jobs"] = ",".join(outcome.jobs)
        if outcome.item is not None:
            headers["Callsheet-Item"] = outcome.item.id
    return headers
