"""A root that is a bucket: originals are copied here to be read, and what is made is uploaded whole."""

import mimetypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError
from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.service.settings import BucketSettings
from callsheet.worker.beneath import checked_parts
from callsheet.worker.bucket_faults import is_beyond_the_end
from callsheet.worker.bucket_keys import is_hidden, key_fault, mtime_ns, printable
from callsheet.worker.bucket_server import BucketServer
from callsheet.worker.lease import PARTIAL_SUFFIX, WHOLE_SUFFIX, Lease, file_tag, leased_name
from callsheet.worker.scratch import Scratch
from callsheet.worker.store import (
    FileFacts,
    FoundFile,
    OpenedFile,
    PassedOver,
    Piece,
    VanishedError,
)
from callsheet.worker.threads import check_wanted

if TYPE_CHECKING:  # the package says these names to type checkers alone
    from obstore import GetOptions, ObjectMeta

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Fetched, and sent, at once."""
PARTS_MAX: Final = 10_000
"""Parts of one upload (S3)."""
PARTS_AT_ONCE: Final = 4
COPY_BYTES_MAX: Final = 5 * 1024**3
"""What the server copies in one call (S3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketDraft:
    """A file on this machine without a name, which is uploaded when it is published."""

    fd: int
    upload: Callable[[int], None]

    def publish(self) -> None:
        """Upload the content.

        Raises:
            AttemptError: It could not be; nothing bears the name.
        """
        try:
            self.upload(self.fd)
        finally:
            os.close(self.fd)

    def abandon(self) -> None:
        """Let the content go."""
        os.close(self.fd)


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
        """Copy an object here and open it."""
        scratch = self._scratch()
        with scratch.turn():
            found = self._head(path)
            copy_fd = scratch.file(found["size"])
            try:
                self._fetch(path, found, copy_fd)
                fd = os.open(f"/proc/self/fd/{copy_fd}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(copy_fd)
        facts = _facts(found)
        return OpenedFile(fd=fd, size_bytes=facts.size_bytes, mtime_ns=facts.mtime_ns)

    def _fetch(self, path: str, found: "ObjectMeta", fd: int) -> None:
        same: GetOptions = {"if_match": found["e_tag"]} if found["e_tag"] else {}
        for start in range(0, found["size"], PIECE_BYTES):
            check_wanted()
            end = min(start + PIECE_BYTES, found["size"])
            with self._server.asking(path):
                wanted: GetOptions = {**same, "range": (start, end)}
                content = obstore.get(self._server.objects, self._key(path), options=wanted).bytes()
            if len(content) != end - start:
                raise TransientError(f"{self._name}/{path}: {len(content):,} bytes came of {end - start:,}")
            _write_at(fd, memoryview(content), start)

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

    def remove(self, path: str) -> bool:
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
        *folders, name = checked_parts(wanted or path)
        mark = "/".join((*folders, lease.name_for(name, PARTIAL_SUFFIX)))
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
                        _pieces(fd, size),
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
        if self._is_there(wanted):
            return self._was_placed(staged, wanted)
        if not self._is_there(staged):
            return f"{self._name}/{wanted}: the file that was made for it is gone"
        try:
            self._copy(staged, wanted)
        except FileExistsError:
            return self._was_placed(staged, wanted)
        self.remove(staged)
        return ""

    def _was_placed(self, staged: str, wanted: str) -> str:
        if not self._is_there(staged):
            return ""  # done before
        if self._content(staged) != self._content(wanted):
            name = staged.rpartition("/")[2]
            return f"{self._name}/{wanted}: something else lies there; the file stays beside it as {name}"
        self.remove(staged)  # a death came between the copy and this
        return ""

    def _copy(self, staged: str, wanted: str) -> None:
        """Copy within the bucket; FileExistsError where the name is taken."""
        if self._head(staged)["size"] > COPY_BYTES_MAX:
            mark = f"{staged.removesuffix(WHOLE_SUFFIX)}{PARTIAL_SUFFIX}"
            with self.open_file(staged) as file:
                self._upload(file.fd, self._key(wanted), mark, mimetypes.guess_type(wanted)[0] or "")
            return
        try:
            with self._server.asking(wanted, doing="write into it"):
                obstore.copy(self._server.objects, self._key(staged), self._key(wanted), overwrite=False)
        except AlreadyExistsError:
            raise FileExistsError(wanted) from None

    def room_bytes(self) -> int:
        """Return what is free for drafts on this machine; the bucket has no limit that we know of."""
        return self._scratch().room_bytes()

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

    def _content(self, path: str) -> str:
        """Return the quick identity of an object."""
        head = self.read(path, 0, END_BYTES)
        tail = self.read(path, max(0, head.size_bytes - END_BYTES), END_BYTES)
        return quick_identity(head.size_bytes, head.content, tail.content)

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


def _write_at(fd: int, content: memoryview, start: int) -> None:
    try:
        while content:
            count = os.pwrite(fd, content, start)
            content, start = content[count:], start + count
    except OSError as error:
        raise CapacityError(f"CALLSHEET_SCRATCH: {error.strerror}; make room") from error


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    """Yield a file in pieces, for as long as somebody wants them: an upload that is stopped is dropped."""
    for start in range(0, size, PIECE_BYTES):
        check_wanted()
        yield os.pread(fd, min(PIECE_BYTES, size - start), start)
