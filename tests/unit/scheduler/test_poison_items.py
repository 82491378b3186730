"""A job over many items whose workers die of one of them goes on without that one."""

import pytest
from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.job import ItemInHand, JobState, LiveJob
from callsheet_scheduler.domain.outcome import Ending

from tests.support.engines import Drive, grant_of, new_job

ONE = ItemInHand(item_id="00000000-0000-0000-0000-000000000001", identity="aa")
OTHER = ItemInHand(item_id="00000000-0000-0000-0000-000000000002", identity="bb")


def lost(drive: Drive, grant: SendGrant, in_hand: ItemInHand | None) -> None:
    """Let the worker take an item in hand, and lose its lease."""
    if in_hand is not None:
        drive.engine.took_in_hand(grant.job.id, grant.token, in_hand)
    drive.fail(grant, Ending.LOST)


def after(*in_hand: ItemInHand | None) -> tuple[Drive, LiveJob]:
    """Return a job whose attempts were lost with these items in hand, one after the other."""
    drive = Drive()
    drive.hello(slots=1)
    job = new_job(drive.engine)
    drive.submit(job)
    for one in in_hand:
        lost(drive, grant_of(drive), one)
    return drive, job


def marked(drive: Drive) -> list[tuple[str, str]]:
    changes = [one.library for one in drive.released if one.library is not None]
    return [(one.item_id, one.source_identity) for change in changes for one in change.broken]


def test_item_in_hand_at_the_last_two_losses_is_marked_and_the_job_goes_on() -> None:
    drive, job = after(None, ONE, ONE)

    assert marked(drive) == [(ONE.item_id, "aa")]
    assert drive.released[-1].verdict.error == (
        f"3 workers in a row were lost at the item {ONE.item_id}; it goes on without it"
    )
    assert (job.lost_count, job.state) == (0, JobState.QUEUED)
    drive.complete(grant_of(drive))
    assert drive.finished[-1].state is JobState.COMPLETED


@pytest.mark.parametrize(
    "in_hand",
    [(None, None, None), (None, ONE, OTHER), (None, ONE, None), (None, None, ONE), (ONE, None, ONE)],
)
def test_job_fails_where_it_is_not_sure_which_item_it_was(in_hand: tuple[ItemInHand | None, ...]) -> None:
    drive, _ = after(*in_hand)

    assert marked(drive) == []
    assert drive.finished[-1].state is JobState.FAILED
    assert "3 workers in a row were lost" in (drive.finished[-1].error or "")


def test_attempt_that_ended_otherwise_clears_the_suspicion() -> None:
    drive, job = after(None, ONE)
    grant = grant_of(drive)
    drive.engine.took_in_hand(job.id, grant.token, ONE)
    drive.fail(grant, Ending.RETURNED)

    assert (job.suspect, job.in_hand) == (None, None)


def test_each_of_several_is_found_by_three_losses() -> None:
    drive, job = after(None, ONE, ONE, None, OTHER, OTHER)

    assert marked(drive) == [(ONE.item_id, "aa"), (OTHER.item_id, "bb")]
    assert job.state is JobState.QUEUED


def test_word_of_a_lease_that_is_over_counts_for_nothing() -> None:
    drive, job = after(None)
    grant = grant_of(drive)

    drive.engine.took_in_hand(job.id, job.token.__class__(grant.token - 1), ONE)

    assert job.in_hand is None
