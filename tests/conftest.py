"""What holds for every test: examples have no deadline, and in continuous integration a skip is a failure."""

import os

import pytest
from hypothesis import settings

from tests.support.objects import bucket, objects

__all__ = ["bucket", "objects"]

# No law depends on how fast the machine is.
settings.register_profile("callsheet", deadline=None)
settings.load_profile("callsheet")


def _skips(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
        return 0
    return len(reporter.stats.get("skipped", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = _skips(config)
    if skips:
        terminalreporter.write_line(f"{skips} skipped, which counts as a failure in CI.", red=True)
