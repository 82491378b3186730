"""A leader that another has followed, and that does not know it yet, judges none of the other's leases."""

import pytest
from callsheet_scheduler.domain.job import JobId, Token

from callsheet.errors import UnavailableError
from callsheet.ids import new_job_id
from tests.support.leader import leader


async def test_leader_to_which_a_later_lease_is_named_steps_down_and_calls_nothing_stale(
    fresh_dsn: str,
) -> None:
    async with leader(fresh_dsn) as one:
        (known,) = await one.submit()
        term = one.term
        (grant,) = await one.granted(known)
        later = Token((term.number + 1) << 32 | 1)

        with pytest.raises(UnavailableError, match="another scheduler leads"):
            await one.open(slots=1, credit=1, held=[(grant.job.id, later)])
        with pytest.raises(UnavailableError):
            await one.open(slots=1, credit=1, held=[(JobId(new_job_id()), later)])

        assert term.commits.reason == "a worker holds a lease of a later leadership"
