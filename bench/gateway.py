"""Measures REST: requests through a gateway beside the same over gRPC, a long history, and many who listen.

Prints rates and times, in ms, with the machine's facts. Callers are few and wait for each answer, so a time
is that of a request and not of a queue before it. The CPU time of a request, or of telling one listener, says
what a machine with nothing else to do would need; the load says whether this one had.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
import uvloop

from bench.queue import Figures, folder_of_bench, report
from bench.rig import Rig, process, rig
from bench.wire import Connection, Listener, listen
from callsheet.client import Client
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.job_service_pb2 import ListJobsRequest

CALLERS: Final = 4
"""Requests under way at once."""
TOKEN: Final = "t" * 43
JOBS: Final = "/api/media/jobs"
LATER: Final = "2199-01-01T00:00:00Z"
"""When jobs start that are not to start."""
START_LIMIT_S: Final = 60.0
HEARD_LIMIT_S: Final = 60.0
STREAMS_AT_ONCE: Final = 50

FILL: Final = """
INSERT INTO job_done (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash, created_at,
    params, state, token, attempt, retry_count, lost_count, capacity_count, finished_at
)
SELECT
    (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 10), 12, '0')
        || '7000a000' || lpad(to_hex(n), 12, '0'))::uuid,
    n, 'type' || n % 50, 1 + n % 3, 5, false, 0, 3, 0, now() - n * interval '10 ms', '{"path": "videos"}',
    CASE WHEN n % 200 = 0 THEN 6 ELSE 5 END, n, 1, 0, 0, 0, now()
FROM generate_series(1, $1::bigint) AS n
"""
COUNT: Final = """
INSERT INTO job_counter (hour, state, type, category, jobs, run_ms)
SELECT hour, state, type, category, count(*), 0
FROM job_done CROSS JOIN (VALUES ('-infinity'::timestamptz), (date_trunc('hour', now()))) AS hours (hour)
GROUP BY hour, state, type, category
ON CONFLICT (hour, state, type, category) DO UPDATE SET jobs = job_counter.jobs + excluded.jobs
"""

Part: TypeAlias = Callable[[Path, argparse.Namespace], Coroutine[object, object, Figures]]


@asynccontextmanager
async def gateway(folder: Path, scheduler: str) -> AsyncGenerator[tuple[int, int]]:
    """Run a gateway; gives its port and the id of its process."""
    token, port_file = folder / "admin-token", folder / "gateway-port"
    token.write_text(TOKEN, encoding="ascii")
    token.chmod(0o600)
    environment = os.environ | {
        "CALLSHEET_LISTEN": "127.0.0.1:0",
        "CALLSHEET_SCHEDULER": scheduler,
        "CALLSHEET_ADMIN_TOKEN_FILE": str(token),
        "CALLSHEET_PORT_FILE": str(port_file),
        "CALLSHEET_LOG_LEVEL": "warning",
        "CALLSHEET_CHANGES_PER_S": "0",
    }
    async with process("callsheet_gateway.main", environment) as running:
        async with asyncio.timeout(START_LIMIT_S):
            while not port_file.exists():
                await asyncio.sleep(0.02)
        yield int(port_file.read_text(encoding="ascii")), running.pid


async def timed(name: str, count: int, callers: list[Callable[[], Awaitable[object]]]) -> Figures:
    """Let callers ask, *count* times in all, and return the rate and the times."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    numbers = iter(range(count))

    async def call(ask: Callable[[], Awaitable[object]]) -> None:
        for _ in numbers:
            begun = loop.time()
            await ask()
            took.append(loop.time() - begun)

    for ask in callers:  # connections are made, statements prepared
        await ask()
    begun = loop.time()
    await asyncio.gather(*map(call, callers))
    passed_s = loop.time() - begun
    return {f"{name}_per_s": round(count / passed_s), **quantiles(name, took)}


def quantiles(name: str, took_s: list[float]) -> Figures:
    """Return the median and the 99th percentile."""
    cuts = statistics.quantiles(took_s, n=100)
    return {f"{name}_p50_ms": round(cuts[49] * 1000, 2), f"{name}_p99_ms": round(cuts[98] * 1000, 2)}


async def requests(folder: Path, options: argparse.Namespace) -> Figures:
    """Ask for a page of jobs and create jobs, through the gateway and beside it."""
    async with (
        rig(folder) as made,
        gateway(folder, made.address) as (port, _),
        Client(made.address) as client,
    ):
        await made.meet()
        await made.submit(100)
        connections = [await Connection.open(port, TOKEN) for _ in range(CALLERS)]
        new = json.dumps({"type": "noop"})
        ways: dict[str, list[Callable[[], Awaitable[object]]]] = {
            "list_rest": [partial(one.ask, "GET", f"{JOBS}?limit=20") for one in connections],
            "list_grpc": [lambda: client.jobs_page(ListJobsRequest(page_size=20))] * CALLERS,
            "create_rest": [partial(one.ask, "POST", JOBS, new) for one in connections],
            "create_grpc": [lambda: client.submit(NewJob(type="noop"))] * CALLERS,
        }
        figures: Figures = {}
        for name, callers in ways.items():
            figures |= await timed(name, options.requests, callers)
        for what in ("list", "create"):
            rest, grpc = figures[f"{what}_rest_p50_ms"], figures[f"{what}_grpc_p50_ms"]
            figures[f"{what}_rest_to_grpc_p50"] = round(float(rest) / float(grpc), 2)
        for one in connections:
            one.close()
        return figures


async def history(folder: Path, options: argparse.Namespace) -> Figures:
    """Ask for lists and statistics with a long history."""
    async with rig(folder) as made:
        await made.meet()
        await fill(made, options.history)
        async with gateway(folder, made.address) as (port, pid):
            connection = await Connection.open(port, TOKEN)
            cursor = (await connection.ask("GET", f"{JOBS}?limit=200"))["pagination"]["nextCursor"]
            asked = {
                "list": JOBS,
                "list_page_100": f"{JOBS}?page=100&limit=100",
                "list_cursor": f"{JOBS}?limit=200&cursor={cursor}",
                "list_failed": f"{JOBS}?status=failed",
                "list_type": f"{JOBS}?type=type7",
                "list_q": f"{JOBS}?q=videos",
                "list_q_of_none": f"{JOBS}?q=nowhere",
                "list_oldest": f"{JOBS}?sort=createdAt",
                "stats": f"{JOBS}/stats",
            }
            figures: Figures = {"history_jobs": options.history}
            pids = {"gateway": pid, "scheduler": made.scheduler_pid}
            for name, path in asked.items():
                looks = max(10, options.looks // 10) if name == "list_q_of_none" else options.looks
                before = {service: cpu_ms(one) for service, one in pids.items()}
                figures |= await timed(f"history_{name}", looks, [partial(connection.ask, "GET", path)])
                for service, one in pids.items():
                    used_ms = (cpu_ms(one) - before[service]) / looks
                    figures[f"history_{name}_{service}_cpu_ms"] = round(used_ms, 1)
            connection.close()
            return figures


async def fill(made: Rig, jobs: int) -> None:
    """Put *jobs* into history as if they had been done."""
    database: asyncpg.Connection = made.database
    await database.execute(FILL, jobs, timeout=600)
    await database.execute(COUNT, timeout=600)
    await database.execute("ANALYZE", timeout=600)


async def streams(folder: Path, options: argparse.Namespace) -> Figures:
    """Keep many event streams open, and see when each hears of a new job."""
    async with (
        rig(folder) as made,
        gateway(folder, made.address) as (port, pid),
        Client(made.address) as client,
    ):
        await made.meet()
        await client.submit(NewJob(type="noop"))
        before = memory_mib(pid)
        heard: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        listeners: list[Listener] = []
        while len(listeners) < options.streams:
            wanted = min(STREAMS_AT_ONCE, options.streams - len(listeners))
            opening = (listen(port, TOKEN, f"{JOBS}/events", heard) for _ in range(wanted))
            listeners += await asyncio.gather(*opening)
        open_mib = memory_mib(pid)
        connection = await Connection.open(port, TOKEN)
        took: list[float] = []
        first: list[float] = []
        loop = asyncio.get_running_loop()
        used_ms = cpu_ms(pid)
        for _ in range(options.changes):
            at = loop.time()
            job = await connection.ask("POST", JOBS, json.dumps({"type": "noop", "runAt": LATER}))
            delays: list[float] = []
            async with asyncio.timeout(HEARD_LIMIT_S):
                while len(delays) < options.streams:
                    told, when = await heard.get()
                    if told == job["id"]:
                        delays.append(when - at)
            took += delays
            first.append(min(delays))
        figures: Figures = {
            "streams": options.streams,
            "gateway_mib_before": round(before),
            "gateway_mib_with_streams": round(open_mib),
            "gateway_mib_after_events": round(memory_mib(pid)),
            **quantiles("event", took),
            **quantiles("event_first", first),
            "event_max_ms": round(max(took) * 1000),
            "event_gateway_cpu_ms": round((cpu_ms(pid) - used_ms) / len(took), 3),
        }
        connection.close()
        for one in listeners:
            one.close()
        return figures


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [size] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(size) / 1024


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


PARTS: Final[dict[str, Part]] = {"requests": requests, "history": history, "streams": streams}


async def measure(options: argparse.Namespace) -> Figures:
    """Run what *options* ask for and return its figures; each part has a database of its own."""
    figures: Figures = {
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "callers": CALLERS,
        "load": round(os.getloadavg()[0], 1),
    }
    for name in options.only or PARTS:
        with folder_of_bench() as folder:
            figures |= await PARTS[name](folder, options)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind")
    parser.add_argument("--history", type=int, default=1_000_000, help="jobs that are done")
    parser.add_argument("--looks", type=int, default=300, help="at each list of the history")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=30, help="jobs that all streams hear of")
    parser.add_argument("--only", nargs="*", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # takes little of the cores itself
            figures = runner.run(measure(options))
        print(json.dumps(figures) if options.json else "\n".join(report(figures)))


if __name__ == "__main__":
    main()
