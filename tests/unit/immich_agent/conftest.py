"""A stand-in for an Immich server, and a client that speaks with it."""

from collections.abc import AsyncIterator

import pytest
from callsheet_immich_agent.client import Access, Server

from tests.support.immich_server import KEY, StandIn, standing_in


@pytest.fixture
async def immich() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def server(immich: StandIn) -> AsyncIterator[Server]:
    async with Server(Access(address=immich.address, key=KEY, deadline_s=0.5)) as speaking:
        yield speaking
