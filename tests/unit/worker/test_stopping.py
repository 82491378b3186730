"""How an attempt is asked, and then made, to end."""

import asyncio
from pathlib import Path

import pytest

from callsheet.errors import AttemptCancelledError, AttemptError
from callsheet.v1.job_pb2 import StopRung
from callsheet.worker.stopping import PausedHereError, Stop
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import desk


def asked(reason: StopReason) -> Stop:
    stop = Stop()
    stop.ask(reason, begun=True)
    return stop


def test_reasons_to_end_count_once_and_a_pause_is_none() -> None:
    stop = Stop()

    assert not stop.ask(StopReason.PAUSED, begun=True)
    assert (stop.pausing, stop.ending, stop.rung) == (True, False, StopRung.STOP_RUNG_UNSPECIFIED)
    assert stop.ask(StopReason.CANCELLED, begun=True)
    assert not stop.ask(StopReason.STALE, begun=True)
    assert (stop.pausing, stop.ending, stop.reason) == (False, True, StopReason.STALE)


def test_rung_is_the_highest_that_was_needed() -> None:
    stop = Stop()
    stop.climbed(StopRung.STOP_RUNG_KILLED)  # a child that ended for a reason of its own
    stop.ask(StopReason.CANCELLED, begun=True)
    stop.climbed(StopRung.STOP_RUNG_TERMINATED)
    stop.climbed(StopRung.STOP_RUNG_ASKED)

    assert stop.rung == StopRung.STOP_RUNG_TERMINATED


async def test_attempt_that_is_to_end_waits_for_its_cancellation_instead_of_a_child() -> None:
    stop = asked(StopReason.DRAIN)

    async def work() -> None:
        try:
            async with stop.child():
                raise AssertionError("a child was started")
        except AttemptError as error:
            raise AssertionError("the media would be blamed") from error

    working = asyncio.create_task(work())
    await asyncio.wait({working}, timeout=0.05)
    assert not working.done()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_processor_that_heeds_no_cancellation_gets_no_child_either() -> None:
    stop = asked(StopReason.CANCELLED)
    stop.pressed = True

    with pytest.raises(AttemptCancelledError):
        async with stop.child():
            raise AssertionError("a child was started")


async def test_wait_for_children_ends_with_the_last_of_them_or_the_grace() -> None:
    stop = Stop()
    leave = [asyncio.Event(), asyncio.Event()]

    async def work(event: asyncio.Event) -> None:
        async with stop.child():
            await event.wait()

    working = [asyncio.create_task(work(event)) for event in leave]
    await asyncio.sleep(0)
    await stop.childless(0.01)
    waiting = asyncio.create_task(stop.childless(60))
    leave[0].set()
    await working[0]
    assert not waiting.done()
    leave[1].set()
    await asyncio.wait_for(waiting, 30)
    await working[1]


async def test_checkpoint_is_taken_only_when_it_is_asked_for_and_fits(tmp_path: Path) -> None:
    async with desk(tmp_path, size=0) as place:
        context = place.context()
        context.save({"at": 1})
        with pytest.raises(
            AttemptError, match=r"the checkpoint has 65,5\d\d bytes as JSON; the limit is 65,536"
        ):
            context.save({"at": "x" * 65_536})

        place.stop.ask(StopReason.PAUSED, begun=True)
        with pytest.raises(PausedHereError, match=r'\{"at":2\}'):
            context.save({"at": 2})

        place.stop.ask(StopReason.CANCELLED, begun=True)
        with pytest.raises(AttemptCancelledError):
            context.save({"at": 3})
