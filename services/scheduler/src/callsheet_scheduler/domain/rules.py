"""The numbers that the engine decides by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from callsheet.catalog import Category
from callsheet_scheduler.domain.ledger import LedgerRules
from callsheet_scheduler.domain.limits import SCOPE_OF, Scope
from callsheet_scheduler.domain.patience import BackfillRules
from callsheet_scheduler.domain.retry import RetryRules

#: Jobs at once on one host, by category, where nobody said otherwise.
DEFAULT_HOST_LIMITS: Final[Mapping[Scope, int]] = {
    SCOPE_OF[Category.CPU]: 5,
    SCOPE_OF[Category.GPU_ENCODE]: 2,
    SCOPE_OF[Category.GPU_AI]: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits, and how patient the scheduler is."""

    host_limits: Mapping[Scope, int] = field(default_factory=lambda: DEFAULT_HOST_LIMITS)
    """On one host, by scope."""
    lease_ttl_s: float = 30.0
    live_jobs_max: int = 2_000_000
    retry: RetryRules = field(default_factory=RetryRules)
    ledger: LedgerRules = field(default_factory=LedgerRules)
    backfill: BackfillRules = field(default_factory=BackfillRules)
