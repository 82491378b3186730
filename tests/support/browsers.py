"""A real browser: where it lies, how it is started, what it complains of, and whom its pages shut out."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from services.gateway.web.build import WEB

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
HINT: Final = "there is no Chromium: on Debian `apt-get install -y chromium`, or name one with CHROMIUM="
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)

AXE: Final = WEB / "node_modules/axe-core/axe.min.js"
SERIOUS: Final = """async () => (await axe.run(document)).violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((one) => one.target + one.failureSummary)}`)"""


def program() -> str:
    """Return where the machine's Chromium lies; without one the test is skipped, with the way to get it."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(HINT)
    return found


@contextmanager
def chromium() -> Generator[Browser]:
    """Run the machine's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def barriers(page: Page) -> list[str]:
    """Return what on the page shuts somebody out, by the rules of axe: what is serious or worse."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(SERIOUS)
    return found


class Complaints:
    """What a page has written on its console as an error, answers of REST aside, and what it has thrown."""

    def __init__(self, page: Page) -> None:
        self.all: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.all.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.all.append(message.text)
