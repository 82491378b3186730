"""Notices that the fleet, the GPUs or the queue's scopes are not as they were a moment ago."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final

from google.protobuf.message import Message

from callsheet.client import Client
from callsheet.errors import CallsheetError

EVERY_S: Final = 1.0

_UNTOLD: Final = ("last_heartbeat_at", "load", "read_at")
"""Fields that change all the time and are no news."""


class Surroundings:
    """What lies around the jobs, as it was last seen."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: dict[str, list[bytes]] = {}

    async def changes(self) -> AsyncGenerator[str, None]:
        """Yield ``workers``, ``gpus`` or ``queues`` when they changed, each at most once a second."""
        readers: dict[str, Callable[[], Awaitable[Iterable[Message]]]] = {
            "workers": self._workers,
            "gpus": self._client.devices,
            "queues": self._client.queues,
        }
        while True:
            for name, read in readers.items():
                try:
                    seen = [_news_of(one) for one in await read()]
                except CallsheetError:
                    continue  # the watch of the jobs tells that the scheduler is away
                if self._seen.get(name, seen) != seen:
                    yield name
                self._seen[name] = seen
            await asyncio.sleep(EVERY_S)

    async def _workers(self) -> Iterable[Message]:
        return (await self._client.fleet()).workers


def _news_of(message: Message) -> bytes:
    """Return what of a message is news."""
    kept = type(message)()
    kept.CopyFrom(message)
    for name in _UNTOLD:
        if name in kept.DESCRIPTOR.fields_by_name:
            kept.ClearField(name)
    return kept.SerializeToString(deterministic=True)
