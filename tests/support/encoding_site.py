"""A library with a place for outputs, and a GPU worker without a card that works on it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.real_scheduler import RealScheduler
from tests.support.worker_processes import WorkerProcess


@pytest.fixture
async def encoder(scheduler: RealScheduler, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    """A GPU worker without a card, over the roots of the test."""
    settings = {
        "CALLSHEET_ROOTS": json.dumps(roots(tmp_path)),
        "CALLSHEET_SOFTWARE_GPU": "true",
        "CALLSHEET_CHUNK_S": "2",
        "CALLSHEET_SWEEP_INTERVAL_S": "1",
    }
    worker = WorkerProcess(scheduler.address, tmp_path, "atlas", settings, kind="gpu")
    await worker.start()
    yield worker
    await worker.kill()


def roots(folder: Path) -> dict[str, object]:
    for name in ("library", "outputs", "derivatives"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "library": {"path": str(folder / "library")},
        "outputs": {"path": str(folder / "outputs"), "writable": True},
        "derivatives": {"path": str(folder / "derivatives"), "writable": True},
    }
