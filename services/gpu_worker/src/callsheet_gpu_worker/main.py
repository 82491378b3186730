"""Starts the GPU worker."""

import asyncio
import logging
import os
import sys

from callsheet.catalog import Category
from callsheet.service import logs
from callsheet.service.clock import SystemClock
from callsheet.service.run import read_settings, run
from callsheet.worker.main import work
from callsheet.worker.sandbox.rights import hide_memory
from callsheet.worker.stream.cards import name_of
from callsheet.worker.stream.devices import Look
from callsheet_gpu_worker.choice import Choice, choice_of, order_is_doubtful
from callsheet_gpu_worker.lineage import sees_machine_pids
from callsheet_gpu_worker.nvml import Nvml
from callsheet_gpu_worker.settings import GpuWorkerSettings
from callsheet_gpu_worker.watch import CardWatch

log = logging.getLogger(__name__)


def main() -> None:
    """Run the worker until it is told to stop."""
    hide_memory()
    settings = read_settings(GpuWorkerSettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: work_with_cards(settings, stop)))


async def work_with_cards(settings: GpuWorkerSettings, stop: asyncio.Event) -> int:
    """Run the worker until it has drained after *stop*, and return its exit code."""
    choice = choice_of(settings.gpu_devices, os.environ)
    sees_pids = sees_machine_pids() if settings.gpu_sees_pids is None else settings.gpu_sees_pids
    nvml = Nvml(
        choice, SystemClock(), sees_pids=sees_pids, encoder_sessions_max=settings.gpu_encoder_sessions
    )
    watch = CardWatch(nvml.look)
    watch.start()
    try:
        _tell(await watch.following(settings.gpu_patience_s), choice, settings)
        return await work(
            settings,
            stop,
            kind="gpu",
            categories=(Category.GPU_ENCODE, Category.GPU_AI),
            software_gpu=settings.software_gpu,
            look=watch.latest,
        )
    finally:
        watch.stop()


def _tell(look: Look | None, choice: Choice, settings: GpuWorkerSettings) -> None:
    """Say at once which cards there are, or why none, and what follows from that."""
    devices = [seen.device for seen in look.devices] if look else []
    if devices:
        log.info("cards", extra={"cards": [name_of(device) for device in devices]})
        missing = choice.missing(devices)
        if missing:
            log.warning("there is no such card", extra={"variable": choice.source, "missing": missing})
        if order_is_doubtful(choice, devices, os.environ):
            log.warning(
                "indexes are the driver's, and CUDA may count differently; name cards by UUID",
                extra={"variable": choice.source},
            )
        return
    reason = look.problem if look else f"the driver gave no answer within {settings.gpu_patience_s:g} s"
    if settings.software_gpu:
        log.info("no card: GPU jobs are done in software", extra={"reason": reason})
    else:
        log.error(
            "no card: this worker gets no job until there is one; set CALLSHEET_SOFTWARE_GPU=true to have"
            " GPU jobs done in software",
            extra={"reason": reason},
        )


if __name__ == "__main__":
    main()
