"""Asks an S3-compatible server what obstore cannot: keys of any form, and uploads that were never finished.

obstore refuses a whole listing in which one key is no plain path, and knows nothing of unfinished uploads.
Requests are signed as AWS tells in "Authenticating Requests: Using the Authorization Header (AWS Signature
Version 4)".
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from typing import Final
from urllib.parse import quote, urlsplit

from callsheet.service.clock import Clock, SystemClock
from callsheet.service.settings import BucketSettings
from callsheet.worker.storage.credentials import Credentials
from callsheet.worker.threads import pause

DEADLINE_S: Final = 20.0
"""How long the server may take over one answer, or a part of it."""
TRIES: Final = 4
FIRST_WAIT_S: Final = 0.2
"""The wait before the second try; it doubles from there."""
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""More than the longest page of keys takes."""

_ENTITY: Final = re.compile(r"&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[a-z]{2,4});")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_SUCCESS: Final = range(200, 300)
_REPEATED: Final = frozenset({429, 500, 502, 503, 504})


class RefusedError(Exception):
    """The server answered with an error. *code* is its word for it, such as ``NoSuchBucket``."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status
        self.code = code


class SilentError(Exception):
    """The server cannot be reached, or answers nothing of use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One object of a listing."""

    key: str
    size_bytes: int
    modified_at: datetime
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload in parts that was not finished."""

    key: str
    upload_id: str


class S3Calls:
    """The calls of one bucket."""

    def __init__(
        self, settings: BucketSettings, credentials: Credentials | None, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock or SystemClock()
        server = urlsplit(settings.endpoint or f"https://s3.{settings.region}.amazonaws.com")
        by_host = settings.addressing == "host"
        self._secure = server.scheme == "https"
        self._host = f"{settings.bucket}.{server.netloc}" if by_host else server.netloc
        self._path = server.path if by_host else f"{server.path}/{settings.bucket}"

    def keys(self, prefix: str, *, delimiter: str = "", most: int = 1000) -> Iterator[Key]:
        """Yield the keys that begin with *prefix*, page by page.

        Args:
            prefix: May be empty.
            delimiter: Leaves out keys that hold it behind the prefix.
            most: Keys of a page; fewer than 1000 for only these.

        Raises:
            RefusedError: The server says no.
            SilentError: It does not answer.
        """
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(most)}
        if delimiter:
            query["delimiter"] = delimiter
        while True:
            page = self._page(query, "ListBucketResult")
            for found in re.finditer(r"<Contents>(.*?)</Contents>", page, re.DOTALL):
                yield _key(found[1])
            following = _field(page, "NextContinuationToken")
            if _field(page, "IsTruncated") != "true" or not following or most < 1000:  # noqa: PLR2004 -- a page
                return
            query["continuation-token"] = following

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Yield the unfinished uploads of keys that begin with *prefix*.

        Raises:
            RefusedError: The server says no.
            SilentError: It does not answer.
        """
        query = {"uploads": "", "prefix": prefix}
        while True:
            page = self._page(query, "ListMultipartUploadsResult")
            for found in re.finditer(r"<Upload>(.*?)</Upload>", page, re.DOTALL):
                yield Upload(key=_field(found[1], "Key"), upload_id=_field(found[1], "UploadId"))
            following = _field(page, "NextKeyMarker")
            if _field(page, "IsTruncated") != "true" or not following:
                return
            query |= {"key-marker": following, "upload-id-marker": _field(page, "NextUploadIdMarker")}

    def abort(self, upload: Upload) -> None:
        """End an unfinished upload and drop its parts.

        Raises:
            RefusedError: The server says no.
            SilentError: It does not answer.
        """
        try:
            self.send("DELETE", upload.key, {"uploadId": upload.upload_id})
        except RefusedError as error:
            if error.code != "NoSuchUpload":
                raise

    def _page(self, query: Mapping[str, str], name: str) -> str:
        """Return a page that is whole: what is missing from half a page would pass for removed."""
        page = self.send("GET", query=query)
        if not page.rstrip().endswith(f"</{name}>"):
            raise SilentError("its answer is not whole")
        return page

    def send(
        self, method: str, key: str = "", query: Mapping[str, str] | None = None, content: bytes = b""
    ) -> str:
        """Send a request and return what is answered; one that found no answer is sent again.

        Args:
            method: Of a call that may be repeated.
            key: Whose; empty for the bucket.
            query: Its parameters, not escaped.
            content: Its body.

        Raises:
            RefusedError: The server says no.
            SilentError: It does not answer.
        """
        wait_s = FIRST_WAIT_S
        for tries_left in reversed(range(TRIES)):
            try:
                status, body = self._answer(method, key, query or {}, content)
            except (OSError, HTTPException) as error:
                if not tries_left:
                    said = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
                    raise SilentError(said) from None
            else:
                if status in _SUCCESS:
                    return body
                if status not in _REPEATED or not tries_left:
                    raise RefusedError(status, _field(body, "Code"))
            pause(wait_s)
            wait_s *= 2
        raise AssertionError("the last try returns or raises")

    def _answer(self, method: str, key: str, query: Mapping[str, str], content: bytes) -> tuple[int, str]:
        path = quote(f"{self._path}/{key}", safe="/-_.~")
        asked = "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(query.items()))
        headers = {"host": self._host, "x-amz-content-sha256": hashlib.sha256(content).hexdigest()}
        if self._credentials is not None:
            headers["x-amz-date"] = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
            if self._credentials.session_token:
                headers["x-amz-security-token"] = self._credentials.session_token
            headers["authorization"] = _authorization(
                _canonical(method, path, asked, headers), headers, self._credentials, self._settings.region
            )
        connection = (HTTPSConnection if self._secure else HTTPConnection)(self._host, timeout=DEADLINE_S)
        try:
            connection.request(method, f"{path}?{asked}", body=content, headers=headers)
            answer = connection.getresponse()
            body = answer.read(ANSWER_BYTES_MAX)
            if answer.length:
                raise IncompleteRead(body, answer.length)
            return answer.status, body.decode("utf-8", "replace")
        finally:
            connection.close()


def _canonical(method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    return "\n".join((method, path, query, lines, ";".join(names), headers["x-amz-content-sha256"]))


def _authorization(canonical: str, headers: Mapping[str, str], credentials: Credentials, region: str) -> str:
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashed}".encode(), "sha256").hex()
    return (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"
    )


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def _key(text: str) -> Key:
    return Key(
        key=_field(text, "Key"),
        size_bytes=int(_field(text, "Size") or 0),
        modified_at=datetime.fromisoformat(_field(text, "LastModified")),
        etag=_field(text, "ETag"),
    )


def _field(text: str, name: str) -> str:
    """Return the text of the first element of this name, empty for none: what S3 answers is flat."""
    found = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return _ENTITY.sub(_character, found[1]) if found else ""


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    if not name.startswith("#"):
        return _NAMED.get(name, entity[0])
    number = int(f"0{name[1:]}", base=0) if name[1] == "x" else int(name[1:])
    return chr(number) if number < 0x110000 else "\ufffd"  # noqa: PLR2004 -- the end of Unicode
