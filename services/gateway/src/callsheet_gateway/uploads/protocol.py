"""Reads what tus clients say in headers, and decides what may be written; values alone.

Source: the tus resumable upload protocol 1.0.0, its core and the extensions of `EXTENSIONS`.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from fastapi import HTTPException

from callsheet_gateway.border import PIECE_TYPE

VERSION: Final = "1.0.0"
EXTENSIONS: Final = ("creation", "creation-with-upload", "termination", "expiration", "checksum")
ALGORITHMS: Final = ("sha1", "sha256")
"""For checksums of pieces; tus asks for the first."""
METADATA_BYTES_MAX: Final = 8192
PAIRS_MAX: Final = 32
CHECKSUM_FAILED: Final = 460
"""The status that tus has for a piece that is not what its checksum says."""

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_KEY: Final = re.compile(r"[!-+\--~]{1,100}")


class Hasher(Protocol):
    """Computes a digest of what it is given."""

    def update(self, content: bytes, /) -> None:
        """Go on."""
        ...

    def digest(self) -> bytes:
        """Return what it comes to."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What a piece has to come to."""

    algorithm: str
    digest: bytes

    def hasher(self) -> Hasher:
        """Return what computes it."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(tus_resumable: str | None) -> None:
    """Refuse a client of another version.

    Raises:
        HTTPException: 412, with the version that is spoken here.
    """
    if tus_resumable != VERSION:
        raise HTTPException(
            HTTPStatus.PRECONDITION_FAILED,
            f"Tus-Resumable: must be {VERSION}; this endpoint takes uploads by the tus protocol only",
            headers={"Tus-Version": VERSION},
        )


def check_piece_type(content_type: str | None) -> None:
    """Refuse a body that is no piece of an upload.

    Raises:
        HTTPException: 415.
    """
    if content_type != PIECE_TYPE:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: must be {PIECE_TYPE}")


def number(name: str, value: str | None) -> int:
    """Return the number that a header holds.

    Raises:
        HTTPException: 400, it holds none.
    """
    if value is None or not _NUMBER.fullmatch(value):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{name}: must be given, a number of bytes")
    return int(value)


def check_room(offset: int, piece: int, length: int) -> None:
    """Refuse a piece that goes beyond the length that was promised.

    Raises:
        HTTPException: 413.
    """
    if offset + piece > length:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the piece goes beyond Upload-Length: {length - offset:,} bytes are left",
        )


def check_offset(given: int, at: int) -> None:
    """Refuse a piece that does not go on where the upload is.

    Raises:
        HTTPException: 409.
    """
    if given != at:
        raise HTTPException(
            HTTPStatus.CONFLICT,
            f"Upload-Offset: the upload is at {at}, not at {given}; ask by HEAD where it is, and go on there",
        )


def checksum_of(value: str | None) -> Checksum | None:
    """Return what Upload-Checksum says; None where it is not sent.

    Raises:
        HTTPException: 400, it says nothing that can be checked.
    """
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"Upload-Checksum: {' and '.join(ALGORITHMS)} are known here"
        )
    digest = _decoded("Upload-Checksum", encoded.strip())
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"Upload-Checksum: is no digest of {algorithm}")
    return Checksum(algorithm=algorithm, digest=digest)


def metadata_of(value: str | None) -> Mapping[str, str]:
    """Return the pairs of Upload-Metadata.

    Raises:
        HTTPException: 400, it is malformed; says how it has to be.
    """
    if not value or not value.strip():
        return {}
    if len(value) > METADATA_BYTES_MAX or value.count(",") >= PAIRS_MAX:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST,
            f"Upload-Metadata: at most {PAIRS_MAX} pairs and {METADATA_BYTES_MAX:,} bytes are read",
        )
    found: dict[str, str] = {}
    for pair in value.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise HTTPException(
                HTTPStatus.BAD_REQUEST,
                "Upload-Metadata: must be pairs of a key and its value in Base64, separated by commas, "
                "each key once",
            )
        try:
            found[key] = _decoded("Upload-Metadata", encoded.strip()).decode()
        except UnicodeDecodeError:
            raise HTTPException(
                HTTPStatus.BAD_REQUEST, f"Upload-Metadata: the value of {key} is not UTF-8"
            ) from None
    return found


def _decoded(name: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{name}: holds a value that is not Base64") from None
