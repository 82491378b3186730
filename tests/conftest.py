"""What holds for every test: examples have no deadline, and in continuous integration a skip is a failure.

There a test that failed and drives real processes has one more try, and both are told of: ADR 0061.
"""

import os

import pytest
from hypothesis import settings

from tests.support.objects import bucket, objects

__all__ = ["bucket", "objects"]

# No law depends on how fast the machine is.
settings.register_profile("callsheet", deadline=None)
settings.load_profile("callsheet")


_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
_OF_PROCESSES = ("tests/integration/", "tests/e2e/", "tests/unit/worker/", "tests/unit/worker_media/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _CI and item.nodeid.startswith(_OF_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _skips(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _CI:
        return 0
    return len(reporter.stats.get("skipped", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed once: {report.nodeid}", yellow=True)
        terminalreporter.write_line(report.longreprtext)
    skips = _skips(config)
    if skips:
        terminalreporter.write_line(f"{skips} skipped, which counts as a failure in CI.", red=True)
