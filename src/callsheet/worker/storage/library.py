"""The named roots that a process reaches, and what callers need of their files."""

from collections.abc import Iterator, Mapping

from typing_extensions import override

from callsheet.errors import BadInputError
from callsheet.service.settings import AnyRootSettings, BucketSettings
from callsheet.worker.lease import PARTIAL_SUFFIX
from callsheet.worker.storage.bucket import BucketStore
from callsheet.worker.storage.folder import FolderStore
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.storage.store import (
    FILE_LIMIT,
    FileFacts,
    FoundFile,
    OpenedFile,
    PassedOver,
    Piece,
    Reader,
    Store,
    VanishedError,
    as_attempt_error,
)

__all__ = [
    "FILE_LIMIT",
    "PARTIAL_SUFFIX",
    "FileFacts",
    "FoundFile",
    "OpenedFile",
    "PassedOver",
    "Piece",
    "Reader",
    "Roots",
    "Store",
    "VanishedError",
    "as_attempt_error",
]


class Roots(Mapping[str, AnyRootSettings]):
    """The named roots that this process reaches."""

    def __init__(self, settings: Mapping[str, AnyRootSettings], scratch: Scratch | None = None) -> None:
        """Take the settings of each.

        Args:
            settings: By name.
            scratch: Where what lies in buckets is copied to be opened; None where it is only read in parts.

        Raises:
            InvalidError: A bucket has no credentials.
        """
        self._settings = dict(settings)
        self._stores: dict[str, Store] = {
            name: BucketStore(name, one, scratch)
            if isinstance(one, BucketSettings)
            else FolderStore(name, one.path)
            for name, one in settings.items()
        }

    @override
    def __getitem__(self, name: str) -> AnyRootSettings:
        try:
            return self._settings[name]
        except KeyError:
            known = ", ".join(sorted(self._settings)) or "none"
            raise BadInputError(f"root {name!r}: this worker does not reach it; it reaches {known}") from None

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._settings

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    @override
    def __len__(self) -> int:
        return len(self._settings)

    def store(self, name: str) -> Store:
        """Return the files of a root.

        Raises:
            BadInputError: This process does not reach it.
        """
        self[name]
        return self._stores[name]

    def open_root(self, name: str) -> int:
        """Return a descriptor of the root's folder; the caller closes it.

        Raises:
            BadInputError: The root is no folder.
            TransientError: The folder is not there or cannot be read now, as when a disk is unmounted.
        """
        store = self.store(name)
        if not isinstance(store, FolderStore):
            raise BadInputError(f"root {name!r}: is a bucket; name a root that is a folder")
        return store.open_root()

    def open_file(self, root: str, path: str) -> OpenedFile:
        """Open a regular file for reading; one in a bucket is copied here first.

        Raises:
            AttemptError: As `Store.open_file`.
        """
        return self.store(root).open_file(path)

    def facts(self, root: str, path: str) -> FileFacts:
        """Return what is known of a file without reading it.

        Raises:
            AttemptError: As `Store.facts`.
        """
        return self.store(root).facts(path)

    def reader(self, root: str, path: str) -> Reader:
        """Open a file to be read in parts; the caller closes it.

        Raises:
            AttemptError: As `Store.reader`.
        """
        return self.store(root).reader(path)

    def read(self, root: str, path: str, start: int, length: int) -> Piece:
        """Read a part of a file.

        Raises:
            AttemptError: As `Store.read`.
        """
        return self.store(root).read(path, start, length)

    def is_folder(self, root: str, path: str) -> bool:
        """Say whether *path* is a folder in *root*; False also where there is nothing.

        Raises:
            BadInputError: The path leads out of the root.
        """
        return self.store(root).is_folder(path)

    def is_empty(self, root: str) -> bool:
        """Say whether the root holds nothing, as the mount point of an unmounted disk does."""
        return self.store(root).is_empty()

    def walk(self, root: str, folder: str = "") -> Iterator[FoundFile | PassedOver]:
        """Yield the regular files in *folder* and below, no hidden ones, no symbolic links.

        Raises:
            BadInputError: There is no such folder, it leads out of the root, or it holds too many files.
        """
        for count, entry in enumerate(self.store(root).walk(folder)):
            if count >= FILE_LIMIT:
                raise BadInputError(
                    f"{root}/{folder}: holds more than {FILE_LIMIT:,} files; scan its folders one by one"
                )
            yield entry

    def remove(self, root: str, path: str, *, durably: bool = False) -> bool:
        """Remove a file of a writable root, as `Store.remove`; returns whether there was one.

        Raises:
            BadInputError: The root is read-only or the path leads out of it.
        """
        self.require_writable(root)
        return self.store(root).remove(path, durably=durably)

    def link(self, root: str, path: str) -> str | None:
        """Return an address at which clients can fetch a file without the gateway, if there is one."""
        return self.store(root).link(path) if root in self else None

    def require_writable(self, root: str) -> None:
        """Refuse a root that is only read.

        Raises:
            BadInputError: The root is read-only.
        """
        if not self[root].writable:
            raise BadInputError(
                f"root {root!r}: is read-only here; set its writable to true, or name another root"
            )
