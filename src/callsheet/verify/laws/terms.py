"""Law: a deposed leader writes nothing: no lease of an earlier term is granted after one of a later term."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from callsheet.verify.events import JobRow
from callsheet.verify.history import History
from callsheet.verify.laws.facts import CLOCK_SLACK_S
from callsheet.verify.laws.finding import Finding, law

#: Bits of a token below the term.
TERM_SHIFT: Final = 32


@law("terms")
def terms(history: History) -> Iterator[Finding]:
    """A deposed leader writes nothing: no lease of an earlier term is granted after one of a later term."""
    first: dict[int, JobRow] = {}
    last: dict[int, JobRow] = {}
    for row in history.rows:
        if row.granted_at is None or row.token == 0:
            continue
        term = row.token >> TERM_SHIFT
        if term not in first or row.granted_at < (first[term].granted_at or 0.0):
            first[term] = row
        if term not in last or row.granted_at > (last[term].granted_at or 0.0):
            last[term] = row
    for older, newer in pairwise(sorted(first)):
        late, early = last[older], first[newer]
        if (late.granted_at or 0.0) > (early.granted_at or 0.0) + CLOCK_SLACK_S:
            yield Finding(
                job=late.id,
                sentence=f"was granted in the term {older} after the term {newer} had begun",
                events=(late, early),
            )
