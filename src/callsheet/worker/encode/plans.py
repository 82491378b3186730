"""Keeps the plan of an encode beside its chunks: later attempts and other jobs work by the same cuts."""

import os
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import ValidationError

from callsheet.errors import AttemptError, BadInputError
from callsheet.media.streaming import StreamingWish
from callsheet.media.survey import Survey
from callsheet.service.plain import plain_line
from callsheet.worker.context import JobContext
from callsheet.worker.sandbox.work import codec
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.staging import kept_files, stage_kept
from callsheet.worker.threads import in_thread

PLAN_BYTES_MAX: Final = 1 << 20
"""A plan of 200 chunks takes about 15 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made of which content, and where it is cut."""

    identity: str
    """The quick identity of the source."""
    wish: StreamingWish
    survey: Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan's place, hidden beside the chunks; swept when its job is final."""

    context: JobContext
    root: str
    folder: str
    key: str
    job_id: str
    """The job whose plan it is."""

    async def read(self) -> Plan | None:
        """Return the plan; None where there is none, or what lies there is none."""
        path = await self._path()
        if path is None:
            return None
        try:
            content = await in_thread(partial(_content, self.context.roots, self.root, path))
            return codec(Plan).validate_json(content)
        except (AttemptError, ValidationError):
            return None

    async def write(self, plan: Plan) -> None:
        """Keep a plan, under the attempt's lease.

        Raises:
            CapacityError: The disk is full.
        """
        path, lease = f"{self.folder}/plan-{self.key}", self.context.lease
        file = await stage_kept(self.context.roots, self.root, path, lease, job_id=self.job_id)
        try:
            await file.write(codec(Plan).dump_json(plan))
        except BaseException:
            await file.discard()
            raise
        await file.publish()

    async def remove(self) -> None:
        """Remove it; where that fails it is swept later."""
        path = await self._path()
        if path is None:
            return
        try:
            await in_thread(partial(self.context.roots.remove, self.root, path))
        except AttemptError as error:
            self.context.report.log(plain_line(f"{self.root}/{path} could not be removed: {error.message}"))

    async def _path(self) -> str | None:
        found = await in_thread(partial(kept_files, self.context.roots, self.root, self.folder, self.job_id))
        return found.get(f"plan-{self.key}")


def _content(roots: Roots, root: str, path: str) -> bytes:
    with roots.open_file(root, path) as file:
        if file.size_bytes > PLAN_BYTES_MAX:
            raise BadInputError(f"{root}/{path}: is too large for a plan")
        return os.pread(file.fd, PLAN_BYTES_MAX, 0)
