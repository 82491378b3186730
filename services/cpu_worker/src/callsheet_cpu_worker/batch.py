"""Makes what is wanted of many items; one that fails stops no other."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from callsheet.errors import AttemptError, BadInputError, CapacityError
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import BrokenItem, DerivativeFacts, Item, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.item_facts import broken_mark
from callsheet.worker.processor import Outcome
from callsheet.worker.sandbox.processes import ChildFaultError
from callsheet.worker.storage.library import VanishedError
from callsheet_cpu_worker import derived, pictures
from callsheet_cpu_worker.derived import ChangedError, Wish
from callsheet_cpu_worker.pace import Pace


@dataclass(slots=True)
class Tally:
    """What became of the items."""

    pace: Pace
    rows: list[DerivativeFacts] = field(default_factory=list[DerivativeFacts])
    broken: list[BrokenItem] = field(default_factory=list[BrokenItem])
    made: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list[str])


async def make_all(context: JobContext, item_ids: Sequence[str], wish: Wish, *, force: bool) -> Outcome:
    """Make what these items lack of *wish*, or all of it with *force*.

    Raises:
        CapacityError: The disk is full.
        AttemptError: Every item failed for a reason that is not the item's.
    """
    wanted_ids = list(dict.fromkeys(item_ids))
    items = await context.library.items(wanted_ids)
    missing = len(wanted_ids) - len(items)
    if missing:
        context.report.log(f"{missing} of {len(wanted_ids)} items are no longer there.")
    now = asyncio.get_running_loop().time
    tally = Tally(pace=Pace(count=len(items), began_at=now()))
    try:
        await _all(context, items, wish, tally, force=force)
    except BaseException:
        await pictures.withdraw(context, tally.rows)
        raise
    if tally.failed and not tally.made and not tally.broken:
        raise AttemptError(tally.failed[0])
    took_s = now() - tally.pace.began_at
    context.report.log(
        f"{tally.made} items done, {tally.skipped} skipped, {len(tally.broken)} broken, "
        f"{len(tally.failed)} failed in {took_s:.1f} s: {tally.pace.rate(now()):.1f} files/s."
    )
    return Outcome(result=_result(tally, missing), derivatives=tally.rows, broken=tally.broken)


def _result(tally: Tally, missing: int) -> Mapping[str, JsonValue]:
    return {
        "made": tally.made,
        "skipped": tally.skipped,
        "broken": len(tally.broken),
        "failed": len(tally.failed),
        "missing": missing,
    }


async def _all(context: JobContext, items: list[Item], wish: Wish, tally: Tally, *, force: bool) -> None:
    """Work on as many items at once as there are decoders, and one more that waits with its file open.

    After an attempt that did not end well they are taken one by one, each told before: it may be one of them
    that workers die of.
    """
    now = asyncio.get_running_loop().time
    careful = context.lease.attempt > 1
    remaining = iter(items)

    async def some(remaining: Iterator[Item]) -> None:
        for item in remaining:
            await _one(context, item, wish, tally, force=force)
            tally.pace.done += 1
            context.report.progress(tally.pace.percent)
            if said := tally.pace.due(now()):
                context.report.log(said)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(1 if careful else context.children.size + 1):
                group.create_task(some(remaining))
    except ExceptionGroup as several:  # not except*: before 3.11.4 it wraps what is raised in it
        raise several.exceptions[0] from None


async def _one(context: JobContext, item: Item, wish: Wish, tally: Tally, *, force: bool) -> None:
    path = item.facts.path
    wanted = derived.lacking(item, wish, force=force)
    if item.facts.state != ItemState.ITEM_STATE_OK or not wanted:
        tally.skipped += 1
        return
    if context.lease.attempt > 1:
        await context.library.take_in_hand(item)
    try:
        made = await derived.make(context, item, wanted)
    except CapacityError:
        raise
    except (VanishedError, ChangedError) as error:
        tally.skipped += 1
        _say(context, f"{path}: skipped, {error.message}")
    except BadInputError as error:
        _say(context, f"{path}: broken, {error.message}")
        tally.broken.append(broken_mark(item, error.message))
    except (AttemptError, ChildFaultError) as error:
        tally.failed.append(f"{path}: {error.message}")
        _say(context, f"{path}: failed, {error.message}")
    else:
        rows = [*await pictures.publish_files(context, item, made.files), *made.rows]
        tally.rows += rows
        tally.made += 1 if rows else 0
        tally.failed += [f"{path}: {why}" for why in made.missed]
        for why in made.missed:
            _say(context, f"{path}: {why}")


def _say(context: JobContext, text: str) -> None:
    context.report.log(plain_line(text))
