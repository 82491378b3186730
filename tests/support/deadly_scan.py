"""A scan whose worker dies as soon as a decoder is to read a file whose name says so."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from callsheet_cpu_worker.processors.scan import Scan
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.params import ScanParams
from callsheet.worker.children import AttemptChildren
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome
from callsheet.worker.sandbox.work import Answer, ArgumentsT, ResultT, Work


class _Mortal(AttemptChildren):
    def __init__(self, children: AttemptChildren) -> None:
        self._children = children

    @property
    @override
    def size(self) -> int:
        return self._children.size

    @override
    async def run(
        self,
        work: Work[ArgumentsT, ResultT],
        arguments: ArgumentsT,
        *,
        descriptors: Sequence[int] = (),
        deadline_s: float,
        cpu_s: int | None = None,
    ) -> Answer[ResultT]:
        if any(_is_deadly(fd) for fd in descriptors):
            os.kill(os.getpid(), signal.SIGKILL)
        return await self._children.run(
            work, arguments, descriptors=descriptors, deadline_s=deadline_s, cpu_s=cpu_s
        )


def _is_deadly(fd: int) -> bool:
    return "deadly" in Path(f"/proc/self/fd/{fd}").readlink().name


class DeadlyScan(Scan):
    """Scans as any other."""

    job_type = JobType(name="test_deadly_scan", description="Scans and dies.", params=ScanParams)

    @override
    async def process(self, params: ScanParams, context: JobContext) -> Outcome:
        return await super().process(params, replace(context, children=_Mortal(context.children)))
