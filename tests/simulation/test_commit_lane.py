"""The laws of group commit, whatever the tables say to each batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from callsheet_scheduler.commit_lane import BATCH_BYTES_MAX, BATCH_JOBS_MAX, CommitLane, Ledge
from callsheet_scheduler.store.errors import (
    ContendedError,
    ExhaustedError,
    OutcomeUnknownError,
    RefusedError,
)
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tests.support.simulator.loop import VirtualLoop


@dataclass(frozen=True)
class Item:
    """Something to write."""

    number: int
    guilty: bool = False
    jobs: int = 1
    size_bytes: int = 10
    replaced: bool = False


@dataclass
class Desk(Ledge[Item]):
    """Tables that refuse what is guilty, and say at times that others are in the way."""

    contended: list[bool] = field(default_factory=list)
    full: list[bool] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)

    @override
    async def write(self, batch: Sequence[Item]) -> None:
        self.batches.append([item.number for item in batch])
        await asyncio.sleep(0.001)
        if self.contended and self.contended.pop():
            raise ContendedError
        if self.full and self.full.pop():
            raise ExhaustedError
        if any(item.guilty for item in batch):
            raise RefusedError
        self.written += [item.number for item in batch]

    @override
    def committed(self, batch: Sequence[Item]) -> None:
        self.told += [item.number for item in batch]

    @override
    def refused(self, item: Item, reason: str) -> Item | None:
        self.refusals.append(item.number)
        return Item(number=-item.number) if item.replaced else None

    @override
    def exhausted(self, item: Item, reason: str) -> bool:
        if item.number % 2:
            return True
        self.given_up.append(item.number)
        return False

    @override
    def weigh(self, item: Item) -> tuple[int, int]:
        return item.jobs, item.size_bytes


def written(desk: Desk, arrivals: Sequence[Sequence[Item]]) -> Desk:
    """Let *arrivals* come one group after another, and wait until all are settled."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(_write(desk, arrivals))
    finally:
        loop.wind_up()
    return desk


async def _write(desk: Desk, arrivals: Sequence[Sequence[Item]]) -> None:
    lane = CommitLane(desk, "desk")
    running = asyncio.ensure_future(lane.run())
    for items in arrivals:
        lane.add(items)
        await asyncio.sleep(0.0005)
    settled = asyncio.ensure_future(lane.settled())
    await asyncio.wait({running, settled}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()


ITEMS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), min_size=1, max_size=30)


@given(drawn=ITEMS, contended=st.lists(st.booleans(), max_size=6))
def test_everything_is_written_once_in_order_but_what_is_guilty(
    drawn: list[tuple[bool, bool, int]], contended: list[bool]
) -> None:
    items = [
        Item(number=number, guilty=guilty and again == 0, replaced=replaced)
        for number, (guilty, replaced, again) in enumerate(drawn, start=1)
    ]
    desk = written(Desk(contended=contended), [items[:7], items[7:]])
    wanted = [
        -item.number if item.guilty else item.number for item in items if not item.guilty or item.replaced
    ]
    assert desk.written == wanted
    assert desk.told == wanted
    assert desk.refusals == [item.number for item in items if item.guilty]


@given(full=st.lists(st.booleans(), max_size=8), count=st.integers(1, 20))
def test_full_disk_loses_only_what_the_ledge_gives_up(full: list[bool], count: int) -> None:
    desk = written(Desk(full=full), [[Item(number=number) for number in range(1, count + 1)]])
    assert sorted(desk.written + desk.given_up) == list(range(1, count + 1))
    assert all(number % 2 == 0 for number in desk.given_up)
    assert desk.written == sorted(desk.written)


def test_one_guilty_of_a_full_batch_costs_no_more_than_halving() -> None:
    items = [Item(number=number, guilty=number == 333) for number in range(1, BATCH_JOBS_MAX + 1)]
    desk = written(Desk(), [items])
    assert desk.refusals == [333]
    assert len(desk.batches) <= 2 * BATCH_JOBS_MAX.bit_length() + 1


def test_batches_keep_to_the_caps_of_jobs_and_bytes() -> None:
    many = written(Desk(), [[Item(number=number) for number in range(1, 1200)]])
    assert [len(batch) for batch in many.batches] == [500, 500, 199]
    large = written(
        Desk(), [[Item(number=number, size_bytes=BATCH_BYTES_MAX // 3) for number in range(1, 8)]]
    )
    assert [len(batch) for batch in large.batches] == [3, 3, 1]
    giant = written(Desk(), [[Item(number=1, jobs=1000, size_bytes=2 * BATCH_BYTES_MAX), Item(number=2)]])
    assert giant.batches == [[1], [2]]


def test_what_is_always_in_the_way_ends_the_lane() -> None:
    with pytest.raises(OutcomeUnknownError, match="contended"):
        written(Desk(contended=[True] * 100), [[Item(number=1)]])
