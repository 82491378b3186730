"""Sees files come, change and go, and submits scans for them."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from watchfiles import awatch

from callsheet.catalog import SCAN
from callsheet.client import Client
from callsheet.errors import CallsheetError, InvalidError, NotFoundError
from callsheet.ids import new_job_id
from callsheet.paths import path_fault
from callsheet.service.clock import SystemClock
from callsheet.v1.job_pb2 import NewJob
from callsheet.worker.lease import PARTIAL_SUFFIX
from callsheet.worker.threads import in_thread
from callsheet_cpu_worker.changes import WHOLE_ROOT, Changes
from callsheet_cpu_worker.settings import CpuWorkerSettings

log = logging.getLogger(__name__)

AGAIN_S: Final = 30.0
"""Seconds after which a root that could not be watched is tried again."""


@asynccontextmanager
async def watching(settings: CpuWorkerSettings, client: Client) -> AsyncGenerator[None]:
    """Watch the roots of the settings until the ``with`` ends."""
    watchers = [
        asyncio.create_task(_Watcher(root, folder, settings, client).run())
        for root, folder in settings.watched().items()
    ]
    try:
        yield
    finally:
        for one in watchers:
            one.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


class _Watcher:
    """Watches one root."""

    def __init__(self, root: str, folder: Path, settings: CpuWorkerSettings, client: Client) -> None:
        self._root = root
        self._folder = folder
        self._settings = settings
        self._client = client
        self._clock = SystemClock()
        self._changes = Changes(quiet_s=settings.watch_quiet_s)

    async def run(self) -> None:
        """Watch; where that fails say so, and try again."""
        while True:
            try:
                await self._watch(await in_thread(self._folder.resolve))
            except OSError as error:
                log.warning(
                    "a root is not watched",
                    extra={
                        "root": self._root,
                        "reason": str(error),
                        "remedy": "raise fs.inotify.max_user_watches, or set CALLSHEET_WATCH_POLL_S",
                    },
                )
            await asyncio.sleep(AGAIN_S)

    async def _watch(self, folder: Path) -> None:
        poll_s = self._settings.watch_poll_s
        looked = max(0.05, self._settings.watch_quiet_s / 2)
        async for events in awatch(
            folder,
            watch_filter=None,
            rust_timeout=round(looked * 1000),
            yield_on_timeout=True,
            force_polling=poll_s > 0,
            poll_delay_ms=round(max(poll_s, 0.3) * 1000),
            ignore_permission_denied=True,
        ):
            now = self._clock.monotonic()
            self._changes.note(_relevant(folder, (path for _, path in events)), now)
            await self._ask_for(self._changes.ripe(now))

    async def _ask_for(self, targets: Sequence[str]) -> None:
        """Submit scans; what one that runs may have passed already is scanned again after it."""
        for target in targets:
            try:
                submitted = await self._client.submit(_scan(self._root, target))
            except (InvalidError, NotFoundError) as error:
                log.warning("no scan", extra={"root": self._root, "path": target, "reason": error.message})
            except CallsheetError as error:
                log.warning("a scan waits for the scheduler", extra={"reason": error.message})
                self._changes.note([target], self._clock.monotonic())
            else:
                if submitted.existed:
                    self._changes.note([target], self._clock.monotonic())


def _scan(root: str, target: str) -> NewJob:
    named = blake2b(f"{root}\n{target}".encode(), digest_size=16).hexdigest()
    params = {"root": root} | ({} if target == WHOLE_ROOT else {"path": target})
    return NewJob(
        id=new_job_id(), type=SCAN.name, params_json=json.dumps(params), unique_key=f"watch:{named}"
    )


def _relevant(folder: Path, paths: Iterable[str]) -> list[str]:
    """Return the paths, relative to *folder*, that a scan would look at."""
    changed = [(Path(path), path.removeprefix(f"{folder}/")) for path in paths]
    return [inside for path, inside in changed if _is_looked_at(path, inside)]


def _is_looked_at(path: Path, inside: str) -> bool:
    hidden = any(part.startswith(".") for part in inside.split("/"))
    if hidden or inside.endswith(PARTIAL_SUFFIX) or path_fault(inside):
        return False
    return not path.is_symlink() and path.parent.resolve() == path.parent
