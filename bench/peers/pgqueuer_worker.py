"""A pgqueuer process whose jobs do nothing; it runs in an environment of its own.

Usage: python pgqueuer_worker.py install DATABASE, or DATABASE JOBS BATCH
"""

import asyncio
import signal
import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def install(dsn: str) -> None:
    """Make its tables."""
    connection = await asyncpg.connect(dsn)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def work(dsn: str, jobs: int, batch: int) -> None:
    """Run until told to stop."""
    connection = await asyncpg.connect(dsn)
    queuer = PgQueuer(AsyncpgDriver(connection))
    done = 0

    @queuer.entrypoint("noop")
    async def noop(job: Job) -> None:
        nonlocal done
        if job.payload:
            print("start", job.payload.decode(), time.monotonic(), flush=True)
        done += 1
        if done == jobs:
            print("done", flush=True)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    print("ready", flush=True)
    await queuer.run(batch_size=batch)


if __name__ == "__main__":
    if sys.argv[1] == "install":
        uvloop.run(install(sys.argv[2]))
    else:
        uvloop.run(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
