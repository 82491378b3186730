"""GPU workers on a real database never overdraw a card, however often they and their leaders are killed.

`make test/gpus` plays a thousand rounds; ``GPU_ROUNDS=n`` and ``SEED=m`` choose how many and which.
"""

import os

import asyncpg
import pytest

from tests.support.gpu_rounds import Rounds
from tests.support.leader import leader

ROUNDS = int(os.environ.get("GPU_ROUNDS", "") or 50)
SEED = int(os.environ.get("GPU_SEED", "") or 1)


@pytest.mark.timeout(0)
async def test_no_card_is_overdrawn_in_rounds_of_chance_with_kills(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        rounds = Rounds(queue, db_writer, SEED)
        for _ in range(ROUNDS):
            await rounds.play()
        await rounds.wind_up()
    assert rounds.devices == {"GPU-shared", "GPU-borea", "GPU-ceres"}
    assert rounds.granted > ROUNDS
    assert rounds.kills > 0
    assert rounds.takeovers > 0
    print(f"{ROUNDS} rounds, {rounds.granted} leases, {rounds.kills} kills, {rounds.takeovers} takeovers")  # noqa: T201 -- the figures
