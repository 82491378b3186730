"""The log of a job as server-sent events, for as long as it grows."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from callsheet.client import Client
from callsheet_gateway.live import sse
from callsheet_gateway.schemas.jobs import status_of


async def log_lines(client: Client, job_id: str, last_event_id: str) -> AsyncGenerator[bytes, None]:
    """Yield the complete lines that follow what a listener has, and ``end`` once the job is final.

    Args:
        client: Speaks with the scheduler.
        job_id: Of a job that there is.
        last_event_id: How many characters of the log the listener has; anything else stands for none.
    """
    known = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else 0
    place = 0
    yield sse.opening(str(known))
    async with aclosing(client.read_log(job_id, follow=True)) as pieces:
        async for piece in pieces:
            fresh = piece[max(0, known - place) :]
            place += len(piece)
            if fresh:
                yield sse.event(fresh.removesuffix("\n"), event_id=str(place))
    status = status_of((await client.job(job_id)).state)
    yield sse.event(json.dumps({"status": status.value}), name="end", event_id=str(place))
