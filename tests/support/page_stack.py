"""A whole Callsheet with its page, media and cards made up, for tests in a browser."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from services.gateway.web.build import StepError, build
from tests.support.cards import VARIABLE, Driver, card, compiled
from tests.support.command_up import RunningUp, running_up
from tests.support.folders import open_folder
from tests.support.media import film, quadrants, sound, video

LONG: Final = "long.mp4"
"""A video that takes some seconds to encode."""
REQUEST_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What runs, and the ways to move it from outside the page."""

    address: str
    token: str
    media: Path
    cards: Driver
    rest: httpx.Client
    """Speaks REST as the administrator."""
    up: RunningUp

    def item(self, filename: str) -> str:
        """Return the id of an item."""
        found = self.rest.get("/api/media/items", params={"q": filename}).json()["data"]
        return str(next(one["id"] for one in found if one["filename"] == filename))

    def submit(self, kind: str, **params: object) -> str:
        """Submit a job and return its id."""
        answer = self.rest.post("/api/media/jobs", json={"type": kind, "params": params})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, object]:
        """Return a job with everything."""
        found: dict[str, object] = self.rest.get(f"/api/media/jobs/{job_id}").json()
        return found

    def kill_scheduler(self) -> None:
        """Kill the scheduler; it is started again by its keeper."""
        os.kill(self.up.pid_of("callsheet_scheduler.main"), signal.SIGKILL)


def _fill(media: Path) -> None:
    for folder in ("photos", "films", "sound"):
        (media / folder).mkdir(parents=True)
    for number, size in enumerate([(640, 400), (400, 640), (800, 500)]):
        quadrants(*size).save(media / f"photos/card_{number}.jpg")
    video(media / "films/short.mp4", seconds=3, size="320x180")
    film(media / "films" / LONG, seconds=90, size="640x360", codec=("-c:v", "mpeg4", "-q:v", "4"))
    sound(media / "sound/tone.mp3", seconds=2)


@contextmanager
def page_stack() -> Generator[Stack]:
    """Start everything, with the page built; where it cannot be built the tests are skipped."""
    try:
        build()
    except StepError as error:
        pytest.skip(f"the page cannot be built: {error}")
    with open_folder() as folder, start_blocking_portal() as portal:
        media = folder / "media"
        _fill(media)
        library = compiled(folder / "nvml")
        cards = Driver(folder / "cards")
        cards.set(card())
        environment = {
            "LD_LIBRARY_PATH": str(library.parent),
            VARIABLE: str(cards.path),
            "CALLSHEET_GPU_SEES_PIDS": "true",
        }
        running = running_up(folder / "data", "--media", str(media), environment=environment)
        with portal.wrap_async_context_manager(running) as up:
            address = portal.call(up.ready)
            headers = {"Authorization": f"Bearer {up.token()}"}
            with httpx.Client(base_url=address, headers=headers, timeout=REQUEST_LIMIT_S) as rest:
                yield Stack(
                    address=address,
                    token=up.token(),
                    media=media,
                    cards=cards,
                    rest=rest,
                    up=up,
                )
