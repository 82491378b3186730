"""Workers that are killed at random instants of every job type publish once, and leave nothing behind."""

import logging
import os
from pathlib import Path
from random import SystemRandom

import pytest

from callsheet.catalog import CATALOG
from callsheet.v1.job_pb2 import JobState
from tests.support.killing import VICTIMS, drawn, killing

log = logging.getLogger(__name__)

ROUNDS = int(os.environ.get("KILL_ROUNDS", "10"))
TYPES = os.environ.get("KILL_TYPES", "").split() or list(VICTIMS)
SEED = os.environ.get("KILL_SEED", "") or str(SystemRandom().randrange(1_000_000))


def test_every_job_type_has_a_line() -> None:
    assert set(VICTIMS) == set(CATALOG)


@pytest.mark.timeout(120 + 60 * ROUNDS)
async def test_killed_worker_publishes_once_and_leaves_nothing(fresh_dsn: str, tmp_path: Path) -> None:
    async with killing(fresh_dsn, tmp_path, SEED, ROUNDS) as stage:
        for number, job_type in enumerate(drawn(stage.chance, ROUNDS, TYPES)):
            job = await stage.round(number, job_type)
            log.info("seed %s, round %d: %s in attempt %d", SEED, number, job_type, job.attempt)
            assert job.state == JobState.JOB_STATE_COMPLETED, (SEED, number, job_type, job.error)
            assert [one.outcome for one in job.attempts].count("completed") == 1, (SEED, number, job_type)
            assert (await stage.jobs.log_of(job.id)).strip(), (SEED, number, job_type)
        await stage.settle()
        pointed = {root: await stage.pointed_at(root) for root in ("library", "outputs", "derivatives")}

    for root, rows in pointed.items():
        sizes = {path: (tmp_path / root / path).stat().st_size for path in stage.files(root)}
        assert sizes == rows, (SEED, root)
    assert list((tmp_path / "scratch").iterdir()) == [], SEED
    assert [worker.spooled() for worker in stage.workers.values()] == [[], []], SEED
    log.info("seed %s: %d of %d kills met a job that was not final", SEED, stage.hits, ROUNDS)
