"""Keeps the encoded chunks of a job beside its output, so that a later attempt goes on where one stopped."""

import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from callsheet.errors import AttemptError
from callsheet.worker.context import JobContext
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import StagedOutput, kept_files, stage_kept
from callsheet.worker.threads import in_thread


@dataclass(slots=True, kw_only=True)
class Chunks:
    """The chunks of one plan; another plan, encoder or content has a key of its own."""

    context: JobContext
    root: str
    folder: str
    key: str
    job_id: str = ""
    """The job that they belong to, where it is another one than the attempt's."""
    _paths: dict[str, str] = field(default_factory=dict[str, str])

    async def find(self) -> int:
        """Look for what earlier attempts left; returns how many there are."""
        job_id = self.job_id or self.context.lease.job_id
        found = await in_thread(partial(kept_files, self.context.roots, self.root, self.folder, job_id))
        self._paths = {name: path for name, path in found.items() if name.endswith(f"-{self.key}")}
        return len(self._paths)

    def has(self, number: int) -> bool:
        """Say whether a chunk is there, whole."""
        return self._name(number) in self._paths

    async def begin(self, number: int) -> StagedOutput:
        """Begin a chunk; `keep` it once it is whole, or discard it.

        Raises:
            CapacityError: The disk is full.
        """
        path, lease = f"{self.folder}/{self._name(number)}", self.context.lease
        return await stage_kept(self.context.roots, self.root, path, lease, job_id=self.job_id)

    async def keep(self, number: int, made: StagedOutput) -> None:
        """Make a chunk durable.

        Raises:
            CapacityError: The disk is full.
        """
        await made.publish()
        self._paths[self._name(number)] = made.path

    async def write(self, number: int, content: bytes) -> None:
        """Keep what fits in memory.

        Raises:
            CapacityError: The disk is full.
        """
        made = await self.begin(number)
        try:
            await made.write(content)
        except BaseException:
            await made.discard()
            raise
        await self.keep(number, made)

    async def read(self, number: int) -> bytes:
        """Return what fits in memory.

        Raises:
            AttemptError: It is gone.
        """
        async with self.opened([number]) as (fd,):
            return await in_thread(lambda: os.pread(fd, os.fstat(fd).st_size, 0))

    @asynccontextmanager
    async def opened(self, numbers: Iterable[int]) -> AsyncGenerator[Sequence[int]]:
        """Open these chunks, in order.

        Raises:
            AttemptError: One is gone.
        """
        with ExitStack() as stack:
            files: list[OpenedFile] = []
            for number in numbers:
                opening = partial(self.context.roots.open_file, self.root, self._paths[self._name(number)])
                file = await in_thread(opening, OpenedFile.close)
                files.append(stack.enter_context(file))
            yield [file.fd for file in files]

    async def remove(self, numbers: Iterable[int] | None = None) -> None:
        """Remove these, or all; what cannot be removed is swept once the job is final."""
        names = list(self._paths) if numbers is None else [self._name(number) for number in numbers]
        for path in [self._paths.pop(name) for name in names if name in self._paths]:
            try:
                await in_thread(partial(self.context.roots.remove, self.root, path))
            except AttemptError as error:
                self.context.report.log(f"{self.root}/{path} could not be removed: {error.message}")

    def _name(self, number: int) -> str:
        return f"{number:05d}-{self.key}"
