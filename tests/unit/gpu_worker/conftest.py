"""Cards for the tests of the GPU worker, in the test's own process."""

from pathlib import Path

import pytest

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
