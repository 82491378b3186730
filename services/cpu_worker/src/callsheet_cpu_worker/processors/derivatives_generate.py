"""Makes the usual thumbnail, preview and thumbhash of several items; one that fails stops no other."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from typing_extensions import override

from callsheet.catalog import DERIVATIVES_GENERATE
from callsheet.errors import AttemptError, BadInputError, CapacityError
from callsheet.params import DerivativesGenerateParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import BrokenItem, DerivativeFacts, Item, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.item_facts import broken_mark
from callsheet.worker.library import VanishedError
from callsheet.worker.processes import ChildFaultError
from callsheet.worker.processor import Outcome, Processor
from callsheet_cpu_worker import pictures


@dataclass(slots=True)
class _Tally:
    """What became of the items."""

    rows: list[DerivativeFacts] = field(default_factory=list[DerivativeFacts])
    broken: list[BrokenItem] = field(default_factory=list[BrokenItem])
    done: int = 0
    made: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list[str])


class DerivativesGenerate(Processor[DerivativesGenerateParams]):
    """Decodes every item once for all its pictures."""

    job_type = DERIVATIVES_GENERATE

    @override
    async def process(self, params: DerivativesGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            CapacityError: The disk is full.
            AttemptError: Every item failed for a reason that is not the item's.
        """
        wanted_ids = list(dict.fromkeys(str(one) for one in params.item_ids))
        items = await context.library.items(wanted_ids)
        if len(items) < len(wanted_ids):
            context.report.log(
                f"{len(wanted_ids) - len(items)} of {len(wanted_ids)} items are no longer there."
            )
        tally = _Tally()
        try:
            await _all(context, items, tally, force=params.force)
        except BaseException:
            await pictures.withdraw(context, tally.rows)
            raise
        if tally.failed and not tally.made and not tally.broken:
            raise AttemptError(tally.failed[0])
        return _outcome(context, tally, missing=len(wanted_ids) - len(items))


async def _all(context: JobContext, items: list[Item], tally: _Tally, *, force: bool) -> None:
    """Work on as many items at once as there are decoders, and one more that waits with its file open."""
    remaining = iter(items)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(context.children.size + 1):
                group.create_task(_some(context, remaining, len(items), tally, force=force))
    except ExceptionGroup as several:  # not except*: before 3.11.4 it wraps what is raised in it
        raise several.exceptions[0] from None


async def _some(
    context: JobContext, remaining: Iterator[Item], count: int, tally: _Tally, *, force: bool
) -> None:
    for item in remaining:
        await _one(context, item, tally, force=force)
        tally.done += 1
        context.report.progress(tally.done * 100 // count)


async def _one(context: JobContext, item: Item, tally: _Tally, *, force: bool) -> None:
    path = item.facts.path
    if item.facts.state != ItemState.ITEM_STATE_OK or (not force and _is_complete(item)):
        tally.skipped += 1
        return
    try:
        made = await pictures.render(context, item, pictures.USUAL, hash_too=True)
    except CapacityError:
        raise
    except VanishedError as error:
        tally.skipped += 1
        _say(context, f"{path}: skipped, {error.message}")
    except BadInputError as error:
        _mark_broken(context, item, error.message, tally)
    except (AttemptError, ChildFaultError) as error:
        tally.failed.append(f"{path}: {error.message}")
        _say(context, f"{path}: failed, {error.message}")
    else:
        await _keep(context, item, made, tally)


async def _keep(context: JobContext, item: Item, made: pictures.Made, tally: _Tally) -> None:
    if made.rendered.identity != item.facts.identity:
        tally.skipped += 1
        _say(context, f"{item.facts.path}: skipped, it changed since it was scanned; scan its folder again.")
    elif made.rendered.fault is not None:
        _mark_broken(context, item, made.rendered.fault.reason, tally)
    else:
        rows = await pictures.publish_pictures(context, item, pictures.USUAL, made)
        hashed = pictures.hash_row(item, made.rendered.thumbhash_hex)
        tally.rows += [*rows, hashed] if hashed else rows
        tally.made += 1


def _mark_broken(context: JobContext, item: Item, reason: str, tally: _Tally) -> None:
    _say(context, f"{item.facts.path}: broken, {reason}")
    tally.broken.append(broken_mark(item, reason))


def _is_complete(item: Item) -> bool:
    return all(pictures.has_current(item, one.kind, one.recipe) for one in pictures.USUAL)


def _say(context: JobContext, text: str) -> None:
    context.report.log(plain_line(text))


def _outcome(context: JobContext, tally: _Tally, *, missing: int) -> Outcome:
    failed = len(tally.failed)
    context.report.log(
        f"{tally.made} items done, {tally.skipped} skipped, {len(tally.broken)} broken, {failed} failed."
    )
    return Outcome(
        result={
            "made": tally.made,
            "skipped": tally.skipped,
            "broken": len(tally.broken),
            "failed": failed,
            "missing": missing,
        },
        derivatives=tally.rows,
        broken=tally.broken,
    )
