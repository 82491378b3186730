"""Has workers read what was uploaded and make pictures of it; the gateway itself opens no media."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from callsheet.catalog import DERIVATIVES_GENERATE, SCAN
from callsheet.client import Client
from callsheet.errors import NotFoundError
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import Item
from callsheet.within import within
from callsheet_gateway.media.making import URGENT
from callsheet_gateway.uploads.records import Record

ITEM_WAIT_S: Final = 2.0
"""How long an answer that does not wait for pictures waits for the item all the same: mostly it is quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of an upload in the library."""

    jobs: tuple[str, ...]
    """The job that makes it an item, and where somebody waits that of its pictures."""
    item: Item | None
    """None while it is not read, and for what is no media."""


async def submit_scan(client: Client, root: str, record: Record) -> None:
    """Have an upload made an item. Doing it again is the same job."""
    scan = NewJob(
        id=record.scan_job_id,
        type=SCAN.name,
        params_json=json.dumps({"root": root, "path": record.path, "pictures": not record.wait}),
        collection=record.collection,
        submitted_by=record.by,
        interactive=record.wait,
    )
    if record.wait:
        scan.priority = URGENT
    await client.submit(scan)


async def registered(client: Client, root: str, record: Record, *, wait_s: float) -> Registered:
    """Wait for the item of an upload whose scan is submitted, where that is wanted also for its pictures.

    Args:
        client: Speaks with the scheduler.
        root: The upload's.
        record: The upload.
        wait_s: The longest wait for pictures; their jobs go on after it.
    """
    item: Item | None = None
    jobs: tuple[str, ...] = (record.scan_job_id,)
    with suppress(TimeoutError):
        async with within(wait_s if record.wait else ITEM_WAIT_S):
            await client.final(record.scan_job_id)
            item = await item_of(client, root, record)
            if record.wait and item is not None:
                jobs = (*jobs, record.pictures_job_id)
                await _submit_pictures(client, item.id, record)
                await client.final(record.pictures_job_id)
                item = await client.item(item.id)
    return Registered(jobs=jobs, item=item)


async def item_of(client: Client, root: str, record: Record) -> Item | None:
    """Return the item of an upload, None where there is none (yet)."""
    try:
        return await client.item_at(root, record.path)
    except NotFoundError:
        return None


async def _submit_pictures(client: Client, item_id: str, record: Record) -> None:
    await client.submit(
        NewJob(
            id=record.pictures_job_id,
            type=DERIVATIVES_GENERATE.name,
            params_json=json.dumps({"itemIds": [item_id]}),
            collection=record.collection,
            submitted_by=record.by,
            priority=URGENT,
            interactive=True,
        )
    )
