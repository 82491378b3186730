"""A limit of time ends what takes longer, also where its caller has been cancelled before."""

import asyncio

import pytest

from callsheet.within import within


async def test_what_takes_longer_is_ended() -> None:
    limit: asyncio.Timeout | None = None
    with pytest.raises(TimeoutError):
        async with within(0.0) as limit:
            await asyncio.Event().wait()
    assert limit is not None
    assert limit.expired()


async def test_what_is_done_in_time_goes_on() -> None:
    async with within(None) as limit:
        pass
    assert not limit.expired()


async def test_limit_in_a_clean_up_is_over_and_the_clean_up_goes_on() -> None:
    steps: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            try:
                async with within(0.0):
                    await asyncio.Event().wait()
            except TimeoutError:
                steps.append("over")

    working = asyncio.create_task(work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert steps == ["over"]


async def test_who_is_cancelled_below_a_limit_is_cancelled() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with within(None):
            begun.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
