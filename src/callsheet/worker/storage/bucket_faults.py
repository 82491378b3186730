"""Tells what a server's answer about an object means for a job, and shows nothing of a credential.

What a server says of a refused signature can hold the key and what was signed; only its code is repeated.
"""

import re
from typing import Final

from obstore.exceptions import (
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError
from callsheet.service.settings import BucketSettings
from callsheet.worker.storage.s3_calls import RefusedError, SilentError
from callsheet.worker.storage.store import VanishedError

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_UNTRUSTED: Final = re.compile(r"certificate verify failed: ([^(]+)|InvalidCertificate\W+(\w+)")
_NO_BUCKET: Final = "NoSuchBucket"
_NO_UPLOAD: Final = "NoSuchUpload"
_DENIED: Final = frozenset({401, 403})
_MISSING: Final = 404
_FORBIDDEN: Final = 403
_OUT_OF_ROOM: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_BEYOND: Final = 416
_FULL: Final = 507


def is_missing(error: Exception) -> bool:
    """Say whether the answer was that something is not there: the object, or the whole bucket."""
    return isinstance(error, FileNotFoundError) or (
        isinstance(error, RefusedError) and error.status == _MISSING and error.code != _NO_BUCKET
    )


def is_beyond_the_end(error: Exception) -> bool:
    """Say whether the answer was that an object ends before the part that was asked for."""
    return _said(error)[0] == _BEYOND


def as_bucket_error(
    error: Exception, root: str, settings: BucketSettings, path: str, doing: str
) -> AttemptError:
    """Return the failure of a job that an answer of the server stands for.

    Args:
        error: As obstore or `S3Calls` raised it.
        root: The root's name.
        settings: The root's.
        path: Relative to the root, safe to print; empty for the root itself.
        doing: What the credentials have to allow, such as ``read it``.
    """
    status, code = _said(error)
    missing = isinstance(error, FileNotFoundError) or status == _MISSING
    match error:
        case InvalidPathError() | ValueError():
            return BadInputError(f"{root}/{path}: no object can have this key; rename it")
        case PreconditionError():
            return TransientError(f"{root}/{path}: it changed while it was read")
        case _ if code == _NO_UPLOAD:
            return TransientError(f"{root}/{path}: its upload was ended by someone before all of it was sent")
        case _ if missing and path and code != _NO_BUCKET:
            return VanishedError(f"{root}/{path}: there is no such file; scan its folder again")
        case PermissionDeniedError() | UnauthenticatedError():
            status = _FORBIDDEN
        case _:
            pass
    said = _of_the_root(error, settings, status, code, doing)
    return (CapacityError if _is_full(status, code) else TransientError)(f"root {root!r}: {said}")


def _of_the_root(error: Exception, settings: BucketSettings, status: int, code: str, doing: str) -> str:
    server = settings.endpoint or f"AWS in {settings.region}"
    why = f" ({code or error})" if code or isinstance(error, SilentError) else ""
    if code == _NO_BUCKET or status == _MISSING or isinstance(error, FileNotFoundError):
        return (
            f"there is no bucket {settings.bucket!r} at {server}; make it, or mend its url in CALLSHEET_ROOTS"
        )
    if _is_full(status, code):
        return f"the bucket {settings.bucket!r} is full{why}; make room"
    if status in _DENIED:
        rights = f"or the rights to the bucket {settings.bucket!r}"
        return f"the server does not let its credentials {doing}{why}; mend {_source(settings)}, {rights}"
    if status:
        return f"{server} answers {status}{why}; it may come back"
    if untrusted := _UNTRUSTED.search(str(error)):
        said = (untrusted[1] or untrusted[2]).strip()
        return f"the certificate of {server} is not trusted ({said}); name its CA in SSL_CERT_FILE"
    return f"{server} does not answer{why}; is it running, and is the endpoint right?"


def _is_full(status: int, code: str) -> bool:
    return code in _OUT_OF_ROOM or status == _FULL


def _said(error: Exception) -> tuple[int, str]:
    if isinstance(error, RefusedError):
        return error.status, error.code
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    return int(status[1]) if status else 0, code[1] if code else ""


def _source(settings: BucketSettings) -> str:
    if settings.credentials_file is not None:
        return str(settings.credentials_file)
    return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
