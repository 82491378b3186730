"""The command line before services that answer as a test writes down."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script, serving


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def callsheet(script: Script, tmp_path: Path) -> AsyncIterator[CommandLine]:
    async with serving(script) as address:
        yield CommandLine(tmp_path, scheduler=address)
