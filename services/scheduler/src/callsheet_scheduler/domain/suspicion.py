"""Which item of a job over many kills its workers: the one in hand at two losses in a row, the last but one
and the last that a job survives.
"""

from callsheet_scheduler.domain.job import LOST_MAX, ItemInHand, LiveJob
from callsheet_scheduler.domain.library import BrokenItem, ItemId, LibraryChanges


def culprit(job: LiveJob) -> ItemInHand | None:
    """Return the item that the workers of *job* died of, when its lease is lost; None while that is not sure.

    A job names what it has in hand only after an attempt before was lost, and then one item at a time.
    """
    if job.in_hand is None or job.in_hand != job.suspect or job.lost_count + 1 < LOST_MAX:
        return None
    return job.in_hand


def blamed(item: ItemInHand) -> LibraryChanges:
    """Return what marks an item that workers died of."""
    reason = f"{LOST_MAX} workers in a row were lost while a job had it in hand"
    marked = BrokenItem(item_id=ItemId(item.item_id), source_identity=item.identity, reason=reason)
    return LibraryChanges(broken=(marked,))
