"""Several real schedulers on one database, and which of them leads."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of them."""

    process: RealScheduler
    ops_port: int

    @property
    def address(self) -> str:
        """host:port of its gRPC."""
        return self.process.address

    async def said(self, path: str) -> tuple[int, str]:
        """Return status and body of its answer to a GET over plain HTTP; 0 where there is none."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ops_port)
        except OSError:
            return 0, ""
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            async with asyncio.timeout(5):
                head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        except (OSError, TimeoutError):
            return 0, ""
        finally:
            writer.close()
        return int(head.split(" ", 2)[1]), body

    async def leads(self) -> bool:
        """Whether it says that it leads."""
        return "\ncallsheet_scheduler_leads 1.0\n" in (await self.said("/metrics"))[1]

    async def ready(self) -> bool:
        """Whether it says that it is ready."""
        return (await self.said("/readyz"))[0] == 200


async def leader_of(replicas: list[Replica]) -> tuple[Replica, list[Replica]]:
    """Wait until one leads and the others are ready to; return it, and them."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            leading = [replica for replica in replicas if await replica.leads()]
            if len(leading) == 1 and all([await replica.ready() for replica in replicas]):
                return leading[0], [replica for replica in replicas if replica is not leading[0]]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def replicas_on(
    dsn: str, folder: Path, *, count: int = 2, **settings: str
) -> AsyncGenerator[list[Replica]]:
    """Run *count* schedulers; *settings* are environment variables without their prefix."""
    async with AsyncExitStack() as stack:
        replicas: list[Replica] = []
        for number in range(count):
            own = folder / f"replica-{number}"
            own.mkdir()
            ops_port = free_port()
            process = await stack.enter_async_context(
                real_scheduler(dsn, own, ops_port=str(ops_port), **settings)
            )
            replicas.append(Replica(process=process, ops_port=ops_port))
        yield replicas


def addresses_of(replicas: list[Replica]) -> str:
    """Return what a client or worker is told."""
    return ",".join(replica.address for replica in replicas)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
