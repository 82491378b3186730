"""How many no-op jobs a worker process can do: the noop worker against a peer that grants without end.

The peer keeps no queue and writes nothing, so what is measured is the worker's runtime and the stream.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator

import grpc
from google.protobuf.duration_pb2 import Duration
from typing_extensions import override

from callsheet.v1.lease_service_pb2 import (
    Grant,
    LeaseRef,
    Result,
    ResultAck,
    ResultFate,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceServicer, add_LeaseServiceServicer_to_server

GRANTS_PER_MESSAGE_MAX = 200


class Endless(LeaseServiceServicer):
    """Grants as many jobs as the worker has credit for, and acknowledges every result."""

    def __init__(self) -> None:
        self.done = 0
        self.under_way = asyncio.Event()
        self._granted = 0

    @override
    async def Work(
        self,
        request_iterator: AsyncIterator[WorkRequest],
        context: grpc.aio.ServicerContext[WorkRequest, WorkResponse],
    ) -> AsyncIterator[WorkResponse]:
        yield WorkResponse(
            welcome=Welcome(
                term=1,
                lease_ttl=Duration(seconds=30),
                heartbeat_interval=Duration(seconds=5),
                orphan_limit=Duration(seconds=900),
            ),
        )
        async for request in request_iterator:
            credit = request.credit + request.hello.credit
            acks = [self._acknowledge(result) for result in request.results]
            answer = WorkResponse(result_acks=acks, heartbeat_ack=request.heartbeat.sequence)
            while credit:
                count = min(credit, GRANTS_PER_MESSAGE_MAX)
                credit -= count
                answer.grants.extend([self._grant() for _ in range(count)])
                yield answer
                answer = WorkResponse()
            if answer.result_acks or answer.heartbeat_ack:
                yield answer

    def _acknowledge(self, result: Result) -> ResultAck:
        self.done += result.HasField("completed")
        self.under_way.set()
        return ResultAck(lease=result.lease, fate=ResultFate.RESULT_FATE_COMMITTED)

    def _grant(self) -> Grant:
        self._granted += 1
        return Grant(
            lease=LeaseRef(job_id=f"01890a5d-ac96-774b-bcce-{self._granted:012x}", token=self._granted),
            type="noop",
            params_json="{}",
            attempt=1,
            run_limit_s=1800,
        )


async def measure(*, slots: int, run_s: float, profile: str) -> None:
    """Run the worker for *run_s* seconds and print what it did."""
    peer = Endless()
    server = grpc.aio.server()
    add_LeaseServiceServicer_to_server(peer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with tempfile.TemporaryDirectory() as spool:
        arguments = ["-m", "bench.noop_worker", f"--scheduler=127.0.0.1:{port}", f"--slots={slots}"]
        if profile:
            arguments = ["-m", "cProfile", "-o", profile, *arguments]
        worker = await asyncio.create_subprocess_exec(sys.executable, *arguments, f"--spool={spool}")
        await peer.under_way.wait()
        before, began_at, cpu_before = peer.done, time.perf_counter(), cpu_s(worker.pid)
        await asyncio.sleep(run_s)
        done, took_s = peer.done - before, time.perf_counter() - began_at
        used_s = cpu_s(worker.pid) - cpu_before
        worker.terminate()
        code = await worker.wait()
    await server.stop(None)
    print(f"{done / took_s:,.0f} jobs/s; worker {used_s / done * 1e6:.1f} us of CPU a job; exit code {code}")


def cpu_s(process: int) -> float:
    """Return the CPU seconds that a process has used."""
    with open(f"/proc/{process}/stat", encoding="ascii") as file:  # noqa: PTH123 -- a kernel file
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--run-s", type=float, default=5.0)
    parser.add_argument("--profile", default="", help="a file for the worker's profile")
    options = parser.parse_args()
    asyncio.run(measure(slots=options.slots, run_s=options.run_s, profile=options.profile))


if __name__ == "__main__":
    main()
