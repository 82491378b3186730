"""Law: lost leases and want of capacity are counted apart, each with a bound of its own."""

from collections.abc import Iterator
from typing import Final

from callsheet.verify.history import History
from callsheet.verify.laws.facts import LOST_MAX
from callsheet.verify.laws.finding import Finding, law

#: Attempts in a row that may end for want of capacity.
CAPACITY_MAX: Final = 10


@law("counts")
def counts(history: History) -> Iterator[Finding]:
    """Lost leases and want of capacity are counted apart, each with a bound of its own."""
    for row in history.rows:
        if row.lost_count > LOST_MAX or row.capacity_count > CAPACITY_MAX:
            yield Finding(
                job=row.id,
                sentence=f"lost {row.lost_count} leases in a row and met want {row.capacity_count} times",
                events=(row,),
            )
