"""How long a GPU job is overtaken by jobs that fit, before a GPU is kept for it."""

from dataclasses import dataclass
from enum import StrEnum

from callsheet_scheduler.domain.job import PRIORITY_DEFAULT, LiveJob
from callsheet_scheduler.domain.lanes import level_of


class Policy(StrEnum):
    """Who may overtake a GPU job that does not fit."""

    FIRST_COME = "first-come"
    """Nobody of its category."""
    SKIP_AHEAD = "skip-ahead"
    """Everybody, for ever."""
    FULL_RESERVATION = "full-reservation"
    """Who delays none of those that do not fit."""
    EASY = "easy"
    """Everybody for as long as its patience lasts, then who does not delay it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRules:
    """The numbers of backfill."""

    policy: Policy = Policy.EASY
    patience_s: float = 600.0
    """Of a job of default priority."""

    def patience_of(self, job: LiveJob) -> float:
        """Return how many seconds *job* lets others overtake it: in proportion to its level of priority.

        By default that is 600 s at priority 5, 120 s at 1, 1,200 s at 10, and half a level less for an
        interactive job.
        """
        if self.policy is Policy.FULL_RESERVATION:
            return 0.0
        return self.patience_s * level_of(job) / PRIORITY_DEFAULT


def waits_since(job: LiveJob) -> float:
    """Return since when *job* could have been granted, as far as its record tells."""
    return max(job.created_at, job.ready_at)
