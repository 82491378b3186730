"""Tries a model outside of any job: loads it as a worker would, and has it score one picture."""

from typing import Final

from callsheet.errors import InvalidError
from callsheet.models.shelf import Installed
from callsheet.worker.children import AttemptChildren
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.settings import WorkerSettings
from callsheet.worker.stopping import Stop

_GREY: Final = b"\x80"


async def tried(model: Installed, limits: InferenceLimits | None = None) -> int:
    """Return how many labels a model has that it gave a score.

    Raises:
        InvalidError: It cannot be used; says why.
        AttemptError: It does not work, or had not enough memory.
    """
    manifest = model.manifest
    if manifest is None:
        raise InvalidError(model.problem)
    width, height = manifest.image.size
    bounds = limits or WorkerSettings().inference()
    async with (
        ChildPool(size=0) as pool,
        AttemptChildren(pool, Stop()).inference(manifest, model.folder, bounds, None) as host,
    ):
        await host.scores(_GREY * (width * height * 3), 1)
        return len(host.labels)
