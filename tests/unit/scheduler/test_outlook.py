"""From when on something is free: as somebody finds who tries every instant."""

from math import inf

import pytest
from callsheet_scheduler.domain.device import LeaseKey, Need
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.domain.outlook import ASSUMED_RUN_S, ONE, End, Key, Others, Outlook, Pool, Use
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gpu_fleet import card, infer
from tests.support.gpu_runs import fresh

INSTANTS = st.integers(0, 12).map(float)
NEEDS = st.builds(Need, vram_mib=st.integers(0, 6), encoder_sessions=st.integers(0, 1))
LEASES = [(JobId(f"job-{number}"), Token(number)) for number in range(3)]


@st.composite
def uses(draw: st.DrawFn, *, later: bool) -> Use:
    begins_at = draw(INSTANTS) if later else -inf
    end = End(draw(st.sampled_from((*map(float, range(16)), inf))), known=draw(st.booleans()))
    return Use(end, draw(NEEDS), draw(st.sampled_from(LEASES)), begins_at)


def tried(size: Need, need: Need, since: float, run_s: float, held: list[Use]) -> float | None:
    """Return the first instant from *since* on at which *need* is free for *run_s*, by trying all of them."""

    def is_free(instant: float) -> bool:
        needs = [need, *(use.need for use in held if use.begins_at <= instant < use.end.at)]
        return all(sum(parts) <= whole for parts, whole in zip(zip(*needs, strict=True), size, strict=True))

    begins = [use.begins_at for use in held]
    for at in sorted({since, *(use.end.at for use in held if since < use.end.at < inf)}):
        if all(map(is_free, {at, *(begin for begin in begins if at < begin < at + run_s)})):
            return at
    return None


@settings(max_examples=300, deadline=None)
@given(
    held=st.lists(uses(later=False), max_size=5),
    planned=st.lists(uses(later=True), max_size=4),
    need=NEEDS,
    since=INSTANTS,
    run_s=st.sampled_from((1.0, 3.0, 8.0, inf)),
    gone=st.sets(st.sampled_from(LEASES)),
    before=st.sampled_from((2.0, 7.0, inf)),
)
def test_pool_is_free_from_the_first_instant_at_which_there_is_room_for_as_long(
    held: list[Use],
    planned: list[Use],
    need: Need,
    since: float,
    run_s: float,
    gone: set[LeaseKey],
    before: float,
) -> None:
    size = Need(8, 2)
    counted = [*(use for use in held if use.lease not in gone), *planned]
    first = tried(size, need, since, run_s, counted)
    pool, others = Pool(size, held), Others(planned, gone)
    found = pool.fits_at(need, since, run_s, others, before)
    assert found == (first if first is not None and first < before else None)
    if first is not None:
        lasting = [use if use.end.known else use._replace(end=End(inf, known=False)) for use in counted]
        assert pool.is_sure(need, first, run_s, others) == (tried(size, need, first, run_s, lasting) == first)


@pytest.mark.parametrize("order", [("gpu", "worker"), ("worker", "gpu")])
def test_guess_counts_from_the_grant_whichever_pool_is_looked_at_first(order: tuple[str, str]) -> None:
    runs = fresh()
    runs.reach(card(), slots=1)
    runs.granted_to(infer(runs, 16_000))
    granted_at = runs.now
    runs.wait(10.0)
    engine = runs.engine
    outlook = Outlook(engine.fleet, engine.ledger, engine.queue.jobs, engine.footprints, runs.now)
    names = {"gpu": "GPU-1", "worker": "w1"}
    for of in order:
        free_at = outlook.pool(Key(of, names[of])).fits_at(ONE, runs.now, inf, Others())
        assert free_at == granted_at + ASSUMED_RUN_S
