"""Fetches a model: to a partial folder, checked file by file, then published whole or not at all."""

import fcntl
import hashlib
import os
import shutil
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener
from urllib.response import addinfourl

from typing_extensions import override

from callsheet.errors import ConflictError, InvalidError, OverloadedError, UnavailableError
from callsheet.models.contents import HEAD_BYTES, check_head, labels_of
from callsheet.models.manifest import (
    FILE_NAME,
    MANIFEST_BYTES_MAX,
    Manifest,
    ModelFile,
    check_url,
    is_loopback,
    read_manifest,
)
from callsheet.models.shelf import Installed, check_hash, check_hashes, find

READ_LIMIT_S: Final = 60.0
"""How long a server may say nothing."""
FREE_FLOOR_BYTES: Final = 256 << 20
"""What stays free on the disk of the model folder."""
_PART_BYTES: Final = 1 << 20
_LOCK: Final = ".pull.lock"

Told = Callable[[str, int, int], None]
"""Told of each part: the file's name, its bytes so far, its bytes in all."""


def read_source(place: str, sha256: str) -> bytes:
    """Return the manifest that lies at *place*: a path, or an address, which wants the manifest's SHA-256.

    Raises:
        InvalidError: It cannot be read, or is not the one of that hash; an address comes without one.
        UnavailableError: The server does not give it.
    """
    if "://" not in place:
        try:
            with Path(place).open("rb") as file:
                content = file.read(MANIFEST_BYTES_MAX + 1)
        except OSError as error:
            raise InvalidError(f"{place} cannot be read: {error.strerror}", field="MANIFEST") from None
    else:
        if not sha256:
            raise InvalidError(
                "an address can change what it gives: name the manifest's SHA-256 by --sha256",
                field="MANIFEST",
            )
        _check(place)
        with _opened(place, 0) as answer:
            content = answer.read(MANIFEST_BYTES_MAX + 1)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256.lower():
        raise InvalidError("the manifest is not the one of this SHA-256", field="--sha256")
    return content


def pull(shelf: Path, content: bytes, *, replace: bool, told: Told) -> Installed:
    """Fetch the model of a manifest into the model folder, and return it.

    What a cut left is gone on with; what is no file of the manifest is removed. A model that is there
    already as the manifest says is left as it is.

    Raises:
        InvalidError: The manifest is wrong, or a file is not what it says; nothing was published.
        ConflictError: Another model of this name is there, or another pull is at work.
        UnavailableError: The source cannot be reached or gives less than it should; what came is kept.
        OverloadedError: There is no room.
    """
    manifest = read_manifest(content)
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        with _locked(shelf):
            return _pull(shelf, manifest, content, replace=replace, told=told)
    except OSError as error:
        raise InvalidError(f"the model folder {shelf} cannot be written: {error.strerror}") from error


def _pull(shelf: Path, manifest: Manifest, content: bytes, *, replace: bool, told: Told) -> Installed:
    folder, partial = shelf / manifest.name, shelf / f".{manifest.name}.partial"
    there = find(shelf, manifest.name)
    if there is not None and there.manifest == manifest and not there.problem:
        check_hashes(there)
        return there
    if there is not None and not replace:
        raise ConflictError(
            f"there is another model {manifest.name} in {shelf}; replace it by --replace, or remove it"
        )
    _prepare(partial, manifest)
    for file in manifest.files:
        _fetch(partial / file.path, file, manifest, told)
    labels_of(manifest.labels.file, (partial / manifest.labels.file).read_bytes())
    _write(partial / FILE_NAME, content)
    _publish(partial, folder)
    return Installed(name=manifest.name, folder=folder, manifest=manifest, problem="")


def _prepare(partial: Path, manifest: Manifest) -> None:
    """Make the partial folder, without what does not belong to the manifest; require room for the rest."""
    partial.mkdir(mode=0o755, exist_ok=True)
    wanted = {file.path: file.size_bytes for file in manifest.files}
    have = 0
    for entry in list(os.scandir(partial)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.is_symlink() or entry.stat().st_size > wanted.get(entry.name, -1):
            Path(entry.path).unlink()
        else:
            have += entry.stat().st_size
    free = shutil.disk_usage(partial).free
    if manifest.size_bytes - have + FREE_FLOOR_BYTES > free:
        raise OverloadedError(
            f"the model has {manifest.size_bytes:,} bytes, {free:,} are free in {partial.parent}; make room"
        )


def _fetch(path: Path, file: ModelFile, manifest: Manifest, told: Told) -> None:
    """Fetch one file, or what is missing of it, and see that it is the one that the manifest names."""
    if not path.exists() or path.stat().st_size < file.size_bytes:
        _receive(path, file, urljoin(manifest.source.url, quote(file.path)), told)
    got = path.stat().st_size
    if got < file.size_bytes:
        raise UnavailableError(f"{file.path}: {got:,} of {file.size_bytes:,} bytes came; pull again to go on")
    try:
        with path.open("rb") as content:
            check_head(file.path, content.read(HEAD_BYTES))
            check_hash(content.fileno(), file)
    except InvalidError:
        path.unlink()
        raise


def _receive(path: Path, file: ModelFile, url: str, told: Told) -> None:
    begin = path.stat().st_size if path.exists() else 0
    with _opened(url, begin) as answer:
        goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
        with path.open("ab" if goes_on else "wb") as out:
            at = begin if goes_on else 0
            while part := answer.read(_PART_BYTES):
                at += len(part)
                if at > file.size_bytes:
                    break
                out.write(part)
                told(file.path, at, file.size_bytes)
            out.flush()
            os.fsync(out.fileno())
    if at > file.size_bytes:
        path.unlink()
        raise InvalidError(
            f"{file.path} has more than the {file.size_bytes:,} bytes that the manifest names",
            field=file.path,
        )


@contextmanager
def _opened(url: str, begin: int) -> Generator[addinfourl | HTTPResponse]:
    """Give what lies at an address, from a byte on where its server can do that."""
    headers = {"User-Agent": "callsheet", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    request = Request(url, headers=headers)  # noqa: S310 -- the scheme was seen by check_url
    try:
        with build_opener(_Redirects).open(request, timeout=READ_LIMIT_S) as answer:
            yield answer
    except HTTPError as error:
        error.close()
        raise UnavailableError(f"{url}: the server says {error.code} {error.reason}") from None
    except URLError as error:
        raise UnavailableError(f"{url} cannot be reached: {error.reason}") from None
    except (HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        raise UnavailableError(f"{url}: the connection broke ({said}); pull again to go on") from None


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another over HTTPS alone; one on this machine also to itself."""

    @override
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        parts = urlsplit(newurl)
        local = parts.scheme == "http" and is_loopback(parts.hostname)
        if parts.scheme != "https" and not (local and is_loopback(urlsplit(req.full_url).hostname)):
            raise URLError(f"it leads on to {parts.scheme}://{parts.hostname}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _publish(partial: Path, folder: Path) -> None:
    """Give the partial folder its name; what had it goes."""
    old = folder.with_name(f".{folder.name}.old")
    if old.exists():
        shutil.rmtree(old)
    _sync(partial)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    _sync(folder.parent)
    if old.exists():
        shutil.rmtree(old)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _locked(shelf: Path) -> Generator[None]:
    with (shelf / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"another pull is at work in {shelf}; wait for its end") from None
        yield


def _check(url: str) -> None:
    try:
        check_url(url)
    except ValueError as error:
        raise InvalidError(str(error), field="MANIFEST") from None
