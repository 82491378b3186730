"""A fleet with GPUs, for tests of the engine: cards, workers that reach them, what they see."""

from collections.abc import Sequence
from typing import Any, cast

from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import Card, DeviceId, LeaseKey, Reading
from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.job import LiveJob, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF

from callsheet.catalog import Category
from tests.support.engines import Drive, new_job

INFER, ENCODE = "tag_generation", "reencode"

#: Kept free on every card, as the rules have it.
MARGIN_MIB = 512


def card(
    name: str = "GPU-1", usable_mib: int = 16_000, *, index: int = 0, sessions: int | None = None
) -> Card:
    """Return a card of which *usable_mib* can be given to jobs."""
    return Card(
        id=DeviceId(name),
        index=index,
        name="card",
        memory_mib=usable_mib + MARGIN_MIB,
        encoder_sessions_max=sessions,
    )


def infer(drive: Drive, vram_mib: int, **changes: object) -> LiveJob:
    """Return a job of inference."""
    values: dict[str, object] = {
        "at": drive.now,
        "type": INFER,
        "category": Category.GPU_AI,
        "vram_mib": vram_mib,
    }
    return new_job(drive.engine, **cast("dict[str, Any]", values | changes))


def encode(drive: Drive, vram_mib: int = 1_000, **changes: object) -> LiveJob:
    """Return a job of encoding."""
    return infer(drive, vram_mib, type=ENCODE, category=Category.GPU_ENCODE, **changes)


class GpuFleet(Drive):
    """An engine without limits per host, and workers with cards."""

    def unlimited(self) -> "GpuFleet":
        """Let any number of jobs run on a host."""
        self.limit(host={SCOPE_OF[category]: 1_000 for category in Category})
        return self

    def reach(
        self,
        *cards: Card,
        worker: str = "w1",
        session: int = 1,
        host: str = "atlas",
        slots: int = 8,
        held: Sequence[LeaseKey] = (),
        software_gpu: bool = False,
    ) -> None:
        """Connect a worker that reaches *cards*."""
        self.hello(
            worker,
            session=session,
            slots=slots,
            host=host,
            types=(INFER, ENCODE),
            held=held,
            cards=cards,
            software_gpu=software_gpu,
        )

    def see(self, worker: str = "w1", name: str = "GPU-1", **seen: object) -> None:
        """Let a worker report a look at a card, with a heartbeat."""
        self.engine.heard(WorkerId(worker), load=0.0, now=self.now)
        reading = Reading(**cast("dict[str, Any]", seen))
        self.engine.observed(WorkerId(worker), {DeviceId(name): reading}, self.now)
        self.wait(0.0)

    def account(self, name: str = "GPU-1") -> Account:
        """Return the account of a card."""
        return self.engine.ledger.accounts[DeviceId(name)]

    def free_mib(self, name: str = "GPU-1") -> int:
        """Return how much of a card can be given to a job."""
        return self.account(name).free(self.now, self.engine.ledger.rules.fresh_s).vram_mib

    def granted_to(self, job: LiveJob) -> SendGrant:
        """Submit *job*, which is granted at once, and return its lease."""
        self.submit(job)
        [grant] = self.grants()
        assert grant.job is job
        return grant
