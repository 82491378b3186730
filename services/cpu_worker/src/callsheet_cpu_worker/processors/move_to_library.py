"""Moves an item's file to another folder or root; the item, its id and what was made of it stay."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import MOVE_TO_LIBRARY
from callsheet.errors import AttemptError, BadInputError
from callsheet.params import MoveToLibraryParams
from callsheet.paths import path_fault
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker import relocating
from callsheet.worker.context import JobContext
from callsheet.worker.encode.outputs import require_room
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.relocating import Move, Place, Reached, Standing, unheard
from callsheet.worker.storage.library import PARTIAL_SUFFIX
from callsheet.worker.threads import in_thread

LIBRARY_FOLDER = "library"
"""The folder of a root in which those of ``directoryType`` lie, where the root has it."""


class MoveToLibrary(Processor[MoveToLibraryParams]):
    """Renames, or copies across file systems, from and to buckets.

    Any step may be an attempt's last: the next one ends it.

    A file that jobs read stays theirs by its descriptor. Those that open it afterwards find it by the item's
    new place.
    """

    job_type = MOVE_TO_LIBRARY

    def __init__(self, reached: Reached = unheard) -> None:
        """Tell *reached* of every step that has taken effect."""
        self._reached = reached

    @override
    async def process(self, params: MoveToLibraryParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such item or file, a root is read-only, or the place is taken.
            CapacityError: The disk is full.
            LeaseLostError: Another lease holds the job by now.
        """
        item = await _item(context, params)
        target = await in_thread(lambda: _target(context, params, item))
        source = Place(root=item.facts.root, path=item.facts.path)
        move = Move(source=source, target=target, identity=item.facts.identity)
        if source == target:
            return await self._there_already(context, item, move)
        _require_writable(context, source, target, params)
        context.report.log(plain_line(f"From {source.shown} to {target.shown}"))
        job_id, again = context.lease.job_id, context.lease.attempt > 1
        standing = await in_thread(lambda: relocating.look(context.roots, move, job_id, again=again))
        if standing is Standing.TAKEN and params.skip_existing:
            context.report.log("Skipped: something lies there already.")
            return _outcome(item.id, source, moved=False, copied=False)
        if standing in {Standing.TAKEN, Standing.GONE}:
            raise _refusal(standing, move)
        copied = await self._move(context, item, move, standing)
        context.report.log(plain_line(f"{target.shown}: {'copied and removed' if copied else 'moved'}."))
        context.report.progress(100)
        return _outcome(item.id, target, moved=True, copied=copied)

    async def _move(self, context: JobContext, item: Item, move: Move, standing: Standing) -> bool:
        """Go on from what lies where; returns whether the file was copied."""
        roots, reached = context.roots, self._reached
        if standing is Standing.HERE:
            await in_thread(lambda: relocating.check_content(roots, move))
            await context.library.fence()
            reached("checked")
            if await _to_its_end(self._renamed(context, item, move)):
                return False
            if relocating.within_one_bucket(roots, move):
                await _to_its_end(self._replaced(context, item, move, move.source))
                return False
            await require_room(context, move.target.root, item.facts.size_bytes)
            copy = await relocating.copy(context, move, reached)
            await context.library.fence()
            context.stop.check()
            await _to_its_end(self._replaced(context, item, move, copy))
            return True
        await context.library.fence()
        await _to_its_end(self._replaced(context, item, move, None, only_recorded=standing is Standing.THERE))
        return False

    async def _renamed(self, context: JobContext, item: Item, move: Move) -> bool:
        renamed = await in_thread(lambda: relocating.rename(context.roots, move, self._reached))
        if renamed:
            await self._record(context, item, move)
        return renamed

    async def _replaced(
        self, context: JobContext, item: Item, move: Move, copy: Place | None, *, only_recorded: bool = False
    ) -> None:
        """Put a copy in its place, remove the file, write the row, remove the copy's hidden name."""
        roots, reached = context.roots, self._reached
        if copy is not None:
            await in_thread(lambda: relocating.name_copy(roots, move, copy, context.lease, reached))
        if not only_recorded:
            await in_thread(lambda: relocating.remove_source(roots, move, reached))
        await self._record(context, item, move)
        await self._clean(context, move)

    async def _clean(self, context: JobContext, move: Move) -> None:
        """Remove what the job kept beside the target."""
        roots = context.roots
        beside = await in_thread(lambda: relocating.kept_copy(roots, move, context.lease.job_id))
        if beside is not None:
            await in_thread(lambda: roots.remove(beside.root, beside.path))
            self._reached("cleaned")

    async def _there_already(self, context: JobContext, item: Item, move: Move) -> Outcome:
        place = move.target
        await in_thread(lambda: relocating.measured(context.roots, place))
        if context.lease.attempt > 1:
            await self._clean(context, move)
        context.report.log(plain_line(f"{place.shown}: lies there already."))
        return _outcome(item.id, place, moved=False, copied=False)

    async def _record(self, context: JobContext, item: Item, move: Move) -> None:
        size_bytes, mtime_ns = await in_thread(lambda: relocating.measured(context.roots, move.target))
        facts = ItemFacts()
        facts.CopyFrom(item.facts)
        facts.root, facts.path = move.target.root, move.target.path
        facts.size_bytes, facts.mtime_ns = size_bytes, mtime_ns
        if facts.state == ItemState.ITEM_STATE_MISSING:
            facts.state = ItemState.ITEM_STATE_OK
        await context.library.move(item.id, facts)
        self._reached("recorded")


async def _to_its_end(work: Coroutine[Any, Any, bool | None]) -> bool | None:
    """Finish what has begun to take effect before a cancelled attempt ends."""
    working = asyncio.create_task(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise


async def _item(context: JobContext, params: MoveToLibraryParams) -> Item:
    """Return the item, also one whose file is not where it was."""
    if params.video_id is not None:
        found = await context.library.items([str(params.video_id)])
        if found:
            return found[0]
        raise BadInputError(
            f"videoId: there is no item {params.video_id}; scan its folder, or take an id from the library"
        )
    if params.input_path is None:
        raise BadInputError("videoId: name an item by videoId or inputPath")
    item = await _at(context, Place(root=params.root, path=params.input_path))
    if item is None:  # it may have been moved by this very job
        item = await _at(context, await in_thread(lambda: _target(context, params, None)))
    if item is None:
        raise BadInputError(
            f"inputPath: the library has no item at {params.root}/{params.input_path}; scan its folder"
        )
    return item


async def _at(context: JobContext, place: Place) -> Item | None:
    items = await context.library.items_below(place.root, place.folder)
    return next((item for item in items if item.facts.path == place.path), None)


def _target(context: JobContext, params: MoveToLibraryParams, item: Item | None) -> Place:
    """Return where the file is to lie.

    Raises:
        BadInputError: No place is named, two are, or no file can lie there.
    """
    if (params.directory_type is None) == (params.output_path is None):
        raise BadInputError(
            "directoryType: name the folder to move to, or by outputPath the whole path; not both"
        )
    root = params.output_root or (params.root if item is None else item.facts.root)
    if params.output_path is not None:
        return Place(root=root, path=_plain(params.output_path, field="outputPath"))
    path = (params.input_path or "") if item is None else item.facts.path
    folder = _plain(params.directory_type or "", field="directoryType")
    if context.roots.is_folder(root, LIBRARY_FOLDER):
        folder = f"{LIBRARY_FOLDER}/{folder}"
    return Place(root=root, path=f"{folder}/{path.rpartition('/')[2]}")


def _plain(path: str, *, field: str) -> str:
    """Return a path without superfluous parts, as items have it."""
    plain = "/".join(part for part in path.split("/") if part not in {"", "."})
    if fault := path_fault(plain):
        raise BadInputError(f"{field}: {fault}")
    if any(part.startswith(".") for part in plain.split("/")) or plain.endswith(PARTIAL_SUFFIX):
        raise BadInputError(f"{field}: {plain} is hidden, and no scan would find it; name another")
    return plain


def _require_writable(context: JobContext, source: Place, target: Place, params: MoveToLibraryParams) -> None:
    """Refuse a root that is only read, by the parameter that names it."""
    field = "videoId" if params.video_id is not None else "root"
    for name, place in ((field, source), ("outputRoot", target)):
        try:
            context.roots.require_writable(place.root)
        except BadInputError as error:
            raise BadInputError(f"{name}: {error.message}") from error


def _refusal(standing: Standing, move: Move) -> AttemptError:
    if standing is Standing.GONE:
        return BadInputError(
            f"{move.source.shown}: the file is gone; put it back, or scan its folder if it lies elsewhere"
        )
    return BadInputError(
        f"outputPath: there is something at {move.target.shown} already; "
        "name another place, or leave such files where they are by skipExisting"
    )


def _outcome(item_id: str, place: Place, *, moved: bool, copied: bool) -> Outcome:
    result: dict[str, JsonValue] = {
        "videoId": item_id,
        "root": place.root,
        "path": place.path,
        "moved": moved,
        "copied": copied,
    }
    return Outcome(result=result)
