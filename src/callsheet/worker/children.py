"""The child processes of one attempt: counted, and ended with it."""

import os
from collections.abc import Sequence
from pathlib import Path

from callsheet.models.manifest import Manifest
from callsheet.service import telemetry
from callsheet.worker.ffmpeg import (
    LIMITS,
    STALL_LIMIT_S,
    FfmpegRun,
    OnProgress,
    Terms,
    ffmpeg_path,
    gpu_shortage,
    run_ffmpeg,
)
from callsheet.worker.inference.hosts import Bounds, InferenceHost
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.sandbox.rights import SandboxLimits
from callsheet.worker.sandbox.work import Answer, ArgumentsT, ResultT, Work
from callsheet.worker.stopping import Ladder, Stop
from callsheet.worker.stream.devices import DeviceShare


class AttemptChildren:
    """Sandboxed child processes; the only place where media is decoded.

    When the attempt is to end it gets no more children, those that it has end first, and its `Stop` knows
    what that took.
    """

    __slots__ = ("_device_uuid", "_pool", "_stop", "background", "pids")

    def __init__(
        self, pool: ChildPool, stop: Stop, device_uuid: str = "", *, background: bool = False
    ) -> None:
        """Begin without a child.

        Programs that are run see the GPU *device_uuid* and no other. Those of a job that nobody waits for
        run in the *background*.
        """
        self._pool = pool
        self._stop = stop
        self._device_uuid = device_uuid
        self.background = background
        self.pids: set[int] = set()
        """The processes of all programs that were run."""

    def inference(
        self, manifest: Manifest, folder: Path, limits: InferenceLimits, share: DeviceShare | None
    ) -> InferenceHost:
        """Return what runs a model in a process of its own, on the attempt's card where it has one.

        Use it by ``async with``: at its end the process is gone, and its memory with it.
        """
        ladder = Ladder(term_grace_s=self._pool.term_grace_s, climbed=self._stop.climbed)
        return InferenceHost(
            manifest,
            folder,
            Bounds(
                limits=limits,
                share=share,
                ladder=ladder,
                started=self.pids.add,
                stop=self._stop,
                background=self.background,
            ),
        )

    @property
    def decoders_yield(self) -> bool:
        """Whether its decode children yield to everything else on the machine."""
        return self._pool.yields

    @property
    def size(self) -> int:
        """How many decode children the worker has, for all its attempts."""
        return self._pool.size

    async def run(
        self,
        work: Work[ArgumentsT, ResultT],
        arguments: ArgumentsT,
        *,
        descriptors: Sequence[int] = (),
        deadline_s: float,
        cpu_s: int | None = None,
    ) -> Answer[ResultT]:
        """Have a decode child do *work*; arguments and errors are those of `ChildPool.run`."""
        async with self._stop.child():
            with telemetry.inner(f"decode {work.function.rpartition(':')[2]}"):
                return await self._pool.run(
                    work,
                    arguments,
                    descriptors=descriptors,
                    deadline_s=deadline_s,
                    cpu_s=cpu_s,
                    climbed=self._stop.climbed,
                )

    async def ffmpeg(
        self,
        arguments: Sequence[str],
        *,
        deadline_s: float | None,
        pass_fds: Sequence[int] = (),
        writable: Sequence[Path] = (),
        limits: SandboxLimits = LIMITS,
        on_progress: OnProgress | None = None,
        stall_limit_s: float = STALL_LIMIT_S,
    ) -> FfmpegRun:
        """Run FFmpeg; arguments and errors are those of `run_ffmpeg`.

        Raises:
            OutOfVramError: The GPU has no memory left.
            CapacityError: The GPU gives no further encoder session.
        """
        async with self._stop.child():
            with telemetry.inner("ffmpeg") as span:
                run = await run_ffmpeg(
                    ffmpeg_path(os.environ),
                    arguments,
                    deadline_s=deadline_s,
                    pass_fds=pass_fds,
                    writable=writable,
                    limits=limits,
                    on_progress=on_progress,
                    terms=Terms(
                        device_uuid=self._device_uuid,
                        started=self.pids.add,
                        ladder=Ladder(term_grace_s=self._pool.term_grace_s, climbed=self._stop.climbed),
                        background=self.background,
                        stall_limit_s=stall_limit_s,
                    ),
                )
                span.add({"process.exit.code": run.exit_code})
        shortage = gpu_shortage(run.stderr) if run.exit_code and self._device_uuid else None
        if shortage is not None:
            raise shortage
        return run
