"""A root that is a bucket: originals are copied here to be read, and what is made is uploaded whole."""

import mimetypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from callsheet.errors import AttemptError, BadInputError, TransientError
from callsheet.service.settings import BucketSettings
from callsheet.worker.lease import PARTIAL_SUFFIX, WHOLE_SUFFIX, Lease, file_tag, leased_name
from callsheet.worker.storage.beneath import checked_parts
from callsheet.worker.storage.bucket_faults import is_beyond_the_end
from callsheet.worker.storage.bucket_files import PIECE_BYTES, BucketDraft, ObjectReader, pieces, write_at
from callsheet.worker.storage.bucket_keys import is_hidden, key_fault, mtime_ns, printable
from callsheet.worker.storage.bucket_server import BucketServer
from callsheet.worker.storage.copies import CopyKey
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.storage.store import (
    FileFacts,
    FoundFile,
    OpenedFile,
    PassedOver,
    Piece,
    Seen,
    VanishedError,
    content_identity,
    naming_failure,
)
from callsheet.worker.threads import check_wanted

if TYPE_CHECKING:  # the package says these names to type checkers alone
    from obstore import Bytes, GetOptions, ObjectMeta

PARTS_MAX: Final = 10_000
"""Parts of one upload (S3)."""
PARTS_AT_ONCE: Final = 4
COPY_BYTES_MAX: Final = 5 * 1024**3
"""What the server copies in one call (S3)."""


class BucketStore:
    """The objects of a bucket below a prefix. The parts of a key between slashes are its folders."""

    def __init__(self, name: str, settings: BucketSettings, scratch: Scratch | None) -> None:
        """Take the settings; asks the server nothing yet.

        Args:
            name: The root's.
            settings: The root's.
            scratch: Where copies lie while they are used; None where none will be asked for.

        Raises:
            InvalidError: There are no credentials.
        """
        self._name = name
        self._settings = settings
        self._scratch_folder = scratch
        self._server = BucketServer(name, settings)

    def facts(self, path: str) -> FileFacts:
        """Return the size and the instant of an object."""
        return _facts(self._head(path))

    def open_file(self, path: str) -> OpenedFile:
        """Open a copy of an object here; one that an earlier job had will do if its tag is the same."""
        found = self._head(path)
        key = CopyKey(
            root=self._name,
            path=path,
            etag=found["e_tag"] or "",
            version=found["version"] or "",
            size_bytes=found["size"],
        )
        fd = self._scratch().copies.open(key, lambda: self._copied(path, found))
        facts = _facts(found)
        return OpenedFile(fd=fd, size_bytes=facts.size_bytes, mtime_ns=facts.mtime_ns)

    def reader(self, path: str) -> ObjectReader:
        """Look at an object whose parts are then fetched one by one."""
        found = self._head(path)
        facts = _facts(found)
        return ObjectReader(
            size_bytes=facts.size_bytes,
            mtime_ns=facts.mtime_ns,
            fetch=lambda start, end: bytes(self._part(path, found, start, end)),
        )

    def _copied(self, path: str, found: "ObjectMeta") -> int:
        """Return a descriptor of a new copy of an object."""
        scratch = self._scratch()
        with scratch.turn():
            fd = scratch.file(found["size"])
            try:
                self._fetch(path, found, fd)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def _fetch(self, path: str, found: "ObjectMeta", fd: int) -> None:
        for start in range(0, found["size"], PIECE_BYTES):
            check_wanted()
            end = min(start + PIECE_BYTES, found["size"])
            write_at(fd, memoryview(self._part(path, found, start, end)), start)

    def _part(self, path: str, found: "ObjectMeta", start: int, end: int) -> "Bytes":
        """Fetch the bytes from *start* to *end* of the object that was found."""
        wanted: GetOptions = {"range": (start, end)}
        if found["e_tag"]:
            wanted["if_match"] = found["e_tag"]
        with self._server.asking(path):
            content = obstore.get(self._server.objects, self._key(path), options=wanted).bytes()
        if len(content) != end - start:
            raise TransientError(f"{self._name}/{path}: {len(content):,} bytes came of {end - start:,}")
        return content

    def read(self, path: str, start: int, length: int) -> Piece:
        """Fetch a part of an object."""
        if length <= 0:
            return Piece(content=b"", size_bytes=self._head(path)["size"])
        wanted: GetOptions = {"range": (start, start + length)}
        with self._server.asking(path):
            try:
                answer = obstore.get(self._server.objects, self._key(path), options=wanted)
            except BaseError as error:
                if not is_beyond_the_end(error):
                    raise
                return Piece(content=b"", size_bytes=self._head(path)["size"])
            return Piece(content=bytes(answer.bytes()), size_bytes=answer.meta["size"])

    def is_folder(self, path: str) -> bool:
        """Say whether any key lies below *path*."""
        below = self._folder(path)
        with self._server.asking(path):
            return any(True for _ in self._server.calls.keys(below, most=1)) or not path

    def is_empty(self) -> bool:
        """Say whether there is no key."""
        with self._server.asking(""):
            return not any(True for _ in self._server.calls.keys(self._settings.prefix, most=1))

    def walk(self, folder: str) -> Iterator[FoundFile | PassedOver]:
        """Yield the objects below, by key, no hidden ones; keys that are no plain paths are passed over."""
        empty = bool(folder)
        with self._server.asking(folder):
            for one in self._server.calls.keys(self._folder(folder)):
                empty = False
                path = one.key.removeprefix(self._settings.prefix)
                if path.endswith("/") and not one.size_bytes:
                    continue  # how some tools mark a folder
                if fault := key_fault(path):
                    yield PassedOver(path=printable(path), reason=fault)
                elif not is_hidden(path):
                    at_ns = mtime_ns(one.modified_at, one.etag)
                    yield FoundFile(path=path, size_bytes=one.size_bytes, mtime_ns=at_ns)
        if empty:
            raise VanishedError(f"{self._name}/{folder}: there is no such folder; scan its folder again")

    def names_in(self, folder: str) -> list[str]:
        """Return the last parts of the keys in a folder."""
        below = self._folder(folder)
        with self._server.asking(folder):
            return [one.key.removeprefix(below) for one in self._server.calls.keys(below, delimiter="/")]

    def hidden(self, is_wanted: Callable[[str], bool]) -> Iterator[str]:
        """Yield the paths of objects whose last parts are wanted."""
        with suppress(AttemptError), self._server.asking(""):
            for one in self._server.calls.keys(self._settings.prefix):
                if is_wanted(one.key.rpartition("/")[2]):
                    yield one.key.removeprefix(self._settings.prefix)

    def seen(self, path: str) -> Seen | None:
        """Look at what lies at *path*; two roots may be over one bucket."""
        try:
            facts = self.facts(path)
        except VanishedError:
            if self.is_folder(path):
                raise BadInputError(f"{self._name}/{path}: is no regular file; name another path") from None
            return None
        place = (self._settings.endpoint, self._settings.bucket, self._key(path))
        return Seen(entry=place, file=place, size_bytes=facts.size_bytes, mtime_ns=facts.mtime_ns)

    def give_name(self, path: str, wanted: str, lease: Lease) -> None:
        """Have the server copy an object."""
        try:
            self._copy(path, wanted, _mark(lease, wanted))
        except FileExistsError as error:
            raise naming_failure(error, f"{self._name}/{wanted}") from error

    def remove(self, path: str, *, durably: bool = False) -> bool:  # noqa: ARG002 -- servers answer when it is
        """Remove an object; with the mark of an upload go its parts."""
        try:
            self._head(path)
        except VanishedError:
            return False
        said = leased_name(path.rpartition("/")[2])
        with self._server.asking(path, doing="write into it"):
            if said is not None and path.endswith(PARTIAL_SUFFIX):
                self._drop_uploads(path, file_tag(said.token))
            self._server.calls.send("DELETE", self._key(path))
        return True

    def begin(self, path: str, lease: Lease, *, wanted: str) -> BucketDraft:
        """Begin a file on this machine."""
        key = self._key(path)
        if wanted:
            with suppress(VanishedError):
                self._head(wanted)
                raise BadInputError(
                    f"{self._name}/{wanted}: there is something at this path already; name another"
                )
        mark = _mark(lease, wanted or path)
        media_type = mimetypes.guess_type(wanted or path)[0] or "application/octet-stream"
        fd = self._scratch().file()
        return BucketDraft(fd=fd, upload=lambda made: self._upload(made, key, mark, media_type))

    def _upload(self, fd: int, key: str, mark: str, media_type: str) -> None:
        """Upload what lies behind *fd*; while it goes in parts, *mark* bears the name of its lease."""
        size = os.fstat(fd).st_size
        path = key.removeprefix(self._settings.prefix)
        with self._scratch().turn(), self._server.asking(path, doing="write into it"):
            if size <= PIECE_BYTES:
                content = os.pread(fd, size, 0)
                obstore.put(
                    self._server.objects,
                    key,
                    content,
                    attributes={"Content-Type": media_type},
                    use_multipart=False,
                )
            else:
                obstore.put(self._server.objects, self._key(mark), b"", use_multipart=False)
                try:
                    obstore.put(
                        self._server.objects,
                        key,
                        pieces(fd, size),
                        attributes={"Content-Type": media_type},
                        use_multipart=True,
                        chunk_size=max(PIECE_BYTES, -(-size // PARTS_MAX)),
                        max_concurrency=PARTS_AT_ONCE,
                    )
                finally:
                    with suppress(AttemptError):
                        self.remove(mark)
        lies = self._head(path)["size"]
        if lies != size:
            raise TransientError(f"{self._name}/{path}: {lies:,} bytes of {size:,} arrived")

    def place(self, staged: str, wanted: str) -> str:
        """Copy an object, unless its name is taken, and remove the first."""
        if not self._is_there(staged) and not self._is_there(wanted):
            return f"{self._name}/{wanted}: the file that was made for it is gone"
        try:
            self._copy(staged, wanted, f"{staged.removesuffix(WHOLE_SUFFIX)}{PARTIAL_SUFFIX}")
        except FileExistsError:
            return self._was_placed(staged, wanted)
        self.remove(staged)
        return ""

    def _was_placed(self, staged: str, wanted: str) -> str:
        if not self._is_there(staged):
            return ""  # done before
        if content_identity(self, staged) != content_identity(self, wanted):
            name = staged.rpartition("/")[2]
            return f"{self._name}/{wanted}: something else lies there; the file stays beside it as {name}"
        self.remove(staged)  # a death came between the copy and this
        return ""

    def _copy(self, path: str, wanted: str, mark: str) -> None:
        """Copy within the bucket; FileExistsError where the name is taken. *mark* is for a copy in parts."""
        if self._is_there(wanted):
            raise FileExistsError(wanted)
        if self._head(path)["size"] > COPY_BYTES_MAX:
            with self.open_file(path) as file:
                self._upload(file.fd, self._key(wanted), mark, mimetypes.guess_type(wanted)[0] or "")
            return
        try:
            with self._server.asking(wanted, doing="write into it"):
                obstore.copy(self._server.objects, self._key(path), self._key(wanted), overwrite=False)
        except AlreadyExistsError:
            raise FileExistsError(wanted) from None

    def room_bytes(self, wanted_bytes: int) -> int:
        """Return what is free for drafts on this machine; the bucket has no limit that we know of."""
        return self._scratch().room_bytes(wanted_bytes)

    def link(self, path: str) -> str | None:
        """Return the public address of an object, or one that is signed for a while."""
        key = self._key(path)
        if self._settings.public_url:
            return f"{self._settings.public_url}/{quote(path)}"
        if not self._settings.presign_s or self._settings.anonymous:
            return None
        return obstore.sign(self._server.objects, "GET", key, timedelta(seconds=self._settings.presign_s))

    def _head(self, path: str) -> "ObjectMeta":
        with self._server.asking(path):
            return obstore.head(self._server.objects, self._key(path))

    def _is_there(self, path: str) -> bool:
        try:
            self._head(path)
        except VanishedError:
            return False
        return True

    def _drop_uploads(self, mark: str, tag: str) -> None:
        calls = self._server.calls
        for upload in list(calls.uploads(self._folder(mark.rpartition("/")[0]))):
            if tag in upload.key.rpartition("/")[2]:
                calls.abort(upload)

    def _key(self, path: str) -> str:
        key = self._settings.prefix + "/".join(checked_parts(path))
        if fault := key_fault(key):
            raise BadInputError(f"{self._name}/{printable(path)}: {fault}")
        return key

    def _folder(self, path: str) -> str:
        """Return what the keys in a folder begin with."""
        parts = checked_parts(path)
        return self._settings.prefix + "".join(f"{part}/" for part in parts)

    def _scratch(self) -> Scratch:
        if self._scratch_folder is None:
            raise BadInputError(f"root {self._name!r}: this process keeps no copies of what lies in buckets")
        return self._scratch_folder


def _facts(found: "ObjectMeta") -> FileFacts:
    at_ns = mtime_ns(found["last_modified"], found["e_tag"] or "")
    return FileFacts(size_bytes=found["size"], mtime_ns=at_ns)


def _mark(lease: Lease, path: str) -> str:
    """Return the path of what bears a lease's name while parts of *path* are sent."""
    *folders, name = checked_parts(path)
    return "/".join((*folders, lease.name_for(name, PARTIAL_SUFFIX)))
