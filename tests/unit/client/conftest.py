"""A client of services that answer as a test writes down."""

from collections.abc import AsyncIterator

import pytest

from callsheet.client import Client
from tests.support.scripted_services import QUICK, Script, serving


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[Client]:
    async with serving(script) as address, Client(address, patience=QUICK) as client:
        yield client
