"""What several laws rest on."""

from typing import Final

from callsheet.verify.events import State
from callsheet.verify.history import Story

FINAL: Final[frozenset[State]] = frozenset({"completed", "failed", "cancelled"})

#: A call with one of these outcomes may have taken effect.
PERHAPS: Final = ("ok", "unknown")


def completed_under(story: Story, token: int) -> bool:
    """Say whether the job is completed, and by the lease with *token*."""
    row = story.row
    return row is not None and row.state == "completed" and row.token == token


#: Seconds by which the clocks of two leaders may differ; each is set by one question to the database.
CLOCK_SLACK_S: Final = 1.0

#: Leases lost in a row after which a job fails.
LOST_MAX: Final = 3
