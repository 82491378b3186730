"""The thread that looks at the cards, beside a driver that hangs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from callsheet_gpu_worker.choice import Choice
from callsheet_gpu_worker.nvml import Nvml
from callsheet_gpu_worker.watch import CardWatch

from callsheet.service.clock import SystemClock
from callsheet.worker.stream.devices import READING_LIMIT_S, Look
from tests.support.cards import ATLAS, Driver, card

CLOCK = SystemClock()


@asynccontextmanager
async def watching() -> AsyncGenerator[CardWatch]:
    watch = CardWatch(Nvml(Choice(), CLOCK, sees_pids=True).look)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def used(look: Look) -> int | None:
    seen = look.of(ATLAS)
    return seen.reading.used_mib if seen and seen.reading else None


async def test_each_look_replaces_the_one_before(driver: Driver) -> None:
    driver.set(card(used_mib=1))
    async with watching() as watch:
        first = await watch.following(20)
        driver.set(card(used_mib=2))
        await watch.following(20)
        later = await watch.following(20)

        assert first is not None
        assert later is not None
        assert later.at > first.at
        assert [used(first), used(later)] == [1, 2]


async def test_driver_that_hangs_stops_nobody_and_is_heard_once_it_answers(driver: Driver) -> None:
    driver.set(card(), "hang nvmlDeviceGetMemoryInfo")
    async with watching() as watch:
        assert await watch.following(0.1) is None
        assert watch.latest() is None

        driver.drop("hang")

        look = await watch.following(20)
        assert look is not None
        assert look.of(ATLAS) is not None


def test_look_grows_old() -> None:
    look = Look(at=100.0)

    assert look.fresh(100.0 + READING_LIMIT_S)
    assert not look.fresh(100.1 + READING_LIMIT_S)
