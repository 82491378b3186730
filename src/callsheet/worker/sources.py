"""Finds the items that a job's parameters name, and opens their files."""

from uuid import UUID

from callsheet.catalog import MOVE_TO_LIBRARY
from callsheet.errors import BadInputError, TransientError
from callsheet.media.faults import Fault
from callsheet.params import MoveToLibraryParams
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.item_facts import broken_mark
from callsheet.worker.processor import BrokenMediaError
from callsheet.worker.storage.library import OpenedFile, VanishedError
from callsheet.worker.threads import in_thread


async def one_item(context: JobContext, item_id: str) -> Item:
    """Return the item that a job's ``videoId`` names.

    Raises:
        BadInputError: There is none, or its file is gone.
    """
    items = await context.library.items([item_id])
    if not items:
        raise BadInputError(
            f"videoId: there is no item {item_id}; scan its folder, or take an id from the library"
        )
    if items[0].facts.state == ItemState.ITEM_STATE_MISSING:
        raise BadInputError(f"{items[0].facts.path}: the file is gone; put it back and scan its folder")
    return items[0]


async def one_video(context: JobContext, video_id: UUID | None, root: str, path: str | None) -> Item:
    """Return the video that is named by id, or else by its path in a root.

    Raises:
        BadInputError: None is named, there is no such item, its file is gone or broken, or it is no video.
    """
    item = await one_usable(context, video_id, root, path)
    if item.facts.kind != MediaKind.MEDIA_KIND_VIDEO:
        raise BadInputError(f"{item.facts.path}: is no video; name one")
    return item


async def one_usable(context: JobContext, video_id: UUID | None, root: str, path: str | None) -> Item:
    """Return the item of any kind that is named by id, or else by its path in a root.

    Raises:
        BadInputError: None is named, there is no such item, or its file is gone or broken.
    """
    if video_id is not None:
        item = await one_item(context, str(video_id))
    elif path is not None:
        item = await _at(context, root, path)
    else:
        raise BadInputError("videoId: name an item by videoId or inputPath")
    if item.facts.state == ItemState.ITEM_STATE_BROKEN:
        raise BadInputError(f"{item.facts.path}: is broken: {item.facts.reason}")
    return item


async def opened(context: JobContext, item: Item) -> OpenedFile:
    """Open the file of an item; close it by ``with``.

    One that was moved since the item was read is found where it lies by now.

    Raises:
        BadInputError: It is gone, or cannot be opened.
        TransientError: It is being moved.
    """
    try:
        return await _opened(context, item)
    except VanishedError:
        newest = next(iter(await context.library.items([item.id])), item)
        if (newest.facts.root, newest.facts.path) != (item.facts.root, item.facts.path):
            return await _opened(context, newest)
        if await _is_being_moved(context, item):
            raise TransientError(f"{item.facts.path}: the file is being moved") from None
        raise


async def _opened(context: JobContext, item: Item) -> OpenedFile:
    facts = item.facts
    return await in_thread(lambda: context.roots.open_file(facts.root, facts.path), OpenedFile.close)


def check_content(item: Item, identity: str, fault: Fault | None) -> None:
    """Refuse what a child read, where it is not what the library knows, or cannot be used.

    Raises:
        BrokenMediaError: It cannot be read; the item is marked so.
        BadInputError: It has another content than when it was scanned.
    """
    path = item.facts.path
    if identity != item.facts.identity:
        raise BadInputError(f"{path}: the file changed since it was scanned; scan its folder again")
    if fault is not None:
        raise BrokenMediaError(f"{path}: {fault.reason}", broken=[broken_mark(item, fault.reason)])


async def _is_being_moved(context: JobContext, item: Item) -> bool:
    """Say whether a job that is not final moves the item's file."""
    for job in await context.queue.unfinished(MOVE_TO_LIBRARY.name):
        params = MoveToLibraryParams.model_validate_json(job.params_json)
        named = (params.root, params.input_path) == (item.facts.root, item.facts.path)
        if named or str(params.video_id) == item.id:
            return True
    return False


async def _at(context: JobContext, root: str, path: str) -> Item:
    folder = path.rpartition("/")[0]
    for item in await context.library.items_below(root, folder):
        if item.facts.path == path:
            return await one_item(context, item.id)
    raise BadInputError(f"inputPath: the library has no item at {root}/{path}; scan its folder")
