"""Removes, beside the loop, the files of results that do not count: nobody points at them."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from callsheet.errors import AttemptError
from callsheet.v1.lease_service_pb2 import Output, Result
from callsheet.v1.library_service_pb2 import DerivativeFacts
from callsheet.worker.lease import file_tag
from callsheet.worker.storage.library import Roots


class Withdrawals:
    """Only files that bear the lease's own name go; another lease's are never touched."""

    __slots__ = ("_roots", "_under_way")

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._under_way: set[asyncio.Task[None]] = set()

    def published(self, result: Result) -> None:
        """Remove what a result says that its attempt made."""
        done = result.completed
        self.files(result, done.library.derivatives)
        self.files(result, done.outputs)

    def files(self, result: Result, files: Iterable[DerivativeFacts | Output]) -> None:
        """Remove *files* of the attempt that the result is of."""
        tag = file_tag(result.lease.token)
        for one in files:
            path = one.path if isinstance(one, DerivativeFacts) else one.staged_path
            if one.root and tag in path.rpartition("/")[2]:
                removal = asyncio.create_task(self._remove(one.root, path))
                self._under_way.add(removal)
                removal.add_done_callback(self._under_way.discard)

    async def done(self) -> None:
        """Wait until everything is removed, or could not be."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _remove(self, root: str, path: str) -> None:
        with suppress(AttemptError):
            await asyncio.to_thread(self._roots.remove, root, path)
