"""Cards for the tests of the GPU worker, in the test's own process, and a desk for its processors."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.attempts import Desk, desk
from tests.support.cards import VARIABLE, Driver, compiled, loaded


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, loaded; pynvml finds it by its name."""
    made = compiled(tmp_path_factory.mktemp("nvml"))
    loaded(made)
    return made


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver that knows of no card yet."""
    driver = Driver(tmp_path / "cards")
    driver.set()
    monkeypatch.setenv(VARIABLE, str(driver.path))
    return driver


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with an empty library."""
    async with desk(tmp_path) as place:
        yield place
