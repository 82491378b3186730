"""Puts committed outputs where they were asked for, never over a file, and tells what became of each."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from callsheet.errors import AttemptError, BadInputError
from callsheet.v1.lease_service_pb2 import Output, Placed
from callsheet.worker.storage.beneath import checked_parts
from callsheet.worker.storage.library import Roots

AGAIN_S: Final = 10.0
"""How long to wait where a root is away or full, before the next try."""
OutputKey = tuple[str, str, str]
"""Job, root, path."""


class Placer:
    """Places outputs beside the loop. What it is told twice it does once."""

    def __init__(self, roots: Roots, tell: Callable[[Placed], None]) -> None:
        self._roots = roots
        self._tell = tell
        self._under_way: dict[OutputKey, asyncio.Task[None]] = {}

    def take(self, outputs: Iterable[Output]) -> None:
        """Put these in their places soon."""
        for output in outputs:
            key = (output.lease.job_id, output.root, output.path)
            if key not in self._under_way:
                self._under_way[key] = asyncio.create_task(self._place(key, output))

    async def close(self) -> None:
        """Leave to others what is not placed."""
        for work in list(self._under_way.values()):
            work.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _place(self, key: OutputKey, output: Output) -> None:
        try:
            self._tell(Placed(output=output, problem=await self._problem(output)))
        finally:
            del self._under_way[key]

    async def _problem(self, output: Output) -> str:
        while True:
            try:
                return await asyncio.to_thread(place, self._roots, output)
            except AttemptError:
                await asyncio.sleep(AGAIN_S)


def place(roots: Roots, output: Output) -> str:
    """Put one output in its place; returns why it cannot lie there, empty when it does.

    Doing it again does no harm, also after a death between any two steps.

    Raises:
        AttemptError: The root is away or full; it may be possible later.
    """
    try:
        roots.require_writable(output.root)
        folders, wanted_folders = (checked_parts(path)[:-1] for path in (output.staged_path, output.path))
        if folders != wanted_folders:
            return f"{output.root}/{output.path}: the file lies in another folder, {output.staged_path}"
        return roots.store(output.root).place(output.staged_path, output.path)
    except BadInputError as error:
        return error.message
