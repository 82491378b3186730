"""GPUs that hold memory of attempts, and of strangers; they shrink, vanish and come back."""

import json
from dataclasses import dataclass, field
from typing import Final

from callsheet.v1.job_pb2 import FAILURE_KIND_OUT_OF_VRAM
from callsheet.v1.lease_service_pb2 import Device, DeviceReading, Failed, Grant, Hello, LeaseRef, Result
from callsheet.worker.stream.commands import LeaseKey, key_of
from tests.support.simulator.chance import Chance

SIZES_MIB: Final = (6_000, 10_000, 16_000)


def wanted_mib(grant: Grant) -> int:
    """Return how much memory of a GPU an attempt really needs; what it was given where nobody knows."""
    return int(json.loads(grant.params_json).get("mib", grant.vram_mib))


def held_mib(grant: Grant) -> int:
    """Return the most memory of its GPU that an attempt comes to hold."""
    return min(wanted_mib(grant), grant.vram_mib) if grant.device_uuid else 0


def shortage(grant: Grant) -> Result | None:
    """Return how an attempt ends that needs more memory of its GPU than it was given, if it does."""
    if not grant.device_uuid or wanted_mib(grant) <= grant.vram_mib:
        return None
    return Result(failed=Failed(kind=FAILURE_KIND_OUT_OF_VRAM, reason="no GPU memory left"))


@dataclass(slots=True, kw_only=True)
class Process:
    """What an attempt holds of a GPU."""

    worker: str
    lease: LeaseRef
    vram_mib: int
    encoder_sessions: int


@dataclass(slots=True, kw_only=True)
class SimulatedCard:
    """A GPU as it really is."""

    uuid: str
    index: int
    memory_mib: int
    encoder_sessions_max: int | None
    shrunk_mib: int = 0
    """How much of its memory is away."""
    gone: bool = False
    foreign_mib: int = 0
    foreign_sessions: int = 0
    processes: dict[LeaseKey, Process] = field(default_factory=dict)

    def hello(self) -> Device:
        """Return the GPU as a worker's hello names it."""
        return Device(
            uuid=self.uuid,
            index=self.index,
            name="card",
            memory_mib=self.memory_mib,
            encoder_sessions_max=self.encoder_sessions_max,
            driver="1",
        )

    def reading(self, worker: str) -> DeviceReading:
        """Return what a worker sees of it."""
        mine = [process for process in self.processes.values() if process.worker == worker]
        held = [process.lease for process in mine]
        if self.gone:
            return DeviceReading(uuid=self.uuid, gone=True, problem="it fell off the bus", held=held)
        return DeviceReading(
            uuid=self.uuid,
            used_mib=self.foreign_mib + sum(process.vram_mib for process in self.processes.values()),
            ours_mib=sum(process.vram_mib for process in mine),
            encoder_sessions=self.foreign_sessions
            + sum(process.encoder_sessions for process in self.processes.values()),
            memory_mib=self.memory_mib - self.shrunk_mib,
            held=held,
        )


class Cards:
    """All GPUs of a run."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        random = chance.random
        self.all = [
            SimulatedCard(
                uuid=f"GPU-{number}",
                index=number,
                memory_mib=random.choice(SIZES_MIB),
                encoder_sessions_max=random.choice((2, 3, None)),
            )
            for number in range(random.randint(0, 3))
        ]

    def some(self) -> list[SimulatedCard]:
        """Return the GPUs that some worker reaches."""
        random = self._chance.random
        return random.sample(self.all, random.randint(0, len(self.all)))

    def seen_by(self, hello: Hello) -> list[DeviceReading]:
        """Return what a worker sees of its GPUs."""
        mine = {device.uuid for device in hello.devices}
        return [card.reading(hello.worker_id) for card in self.all if card.uuid in mine]

    def begin(self, worker: str, grant: Grant) -> None:
        """An attempt takes what it was granted."""
        card = next((one for one in self.all if one.uuid == grant.device_uuid), None)
        if card is not None:
            card.processes[key_of(grant.lease)] = Process(
                worker=worker,
                lease=grant.lease,
                vram_mib=held_mib(grant),
                encoder_sessions=grant.encoder_sessions,
            )

    def end(self, key: LeaseKey) -> None:
        """The processes of an attempt end."""
        for card in self.all:
            card.processes.pop(key, None)

    def sweep(self, worker: str) -> None:
        """All processes of a worker end."""
        for card in self.all:
            card.processes = {key: one for key, one in card.processes.items() if one.worker != worker}

    def trouble(self) -> None:
        """Let strangers come and go, and GPUs shrink, vanish and return."""
        random, faults = self._chance.random, self._chance.faults
        for card in self.all:
            if self._chance.strikes(faults.strangers):
                card.foreign_mib = random.choice((0, 500, 4_000, card.memory_mib))
                card.foreign_sessions = random.randint(0, 2)
            if self._chance.strikes(faults.card_vanishes):
                card.gone = not card.gone
            if self._chance.strikes(faults.card_shrinks):
                card.shrunk_mib = random.choice((0, card.memory_mib // 2))

    def repair(self) -> None:
        """All GPUs are whole, and nobody else uses them."""
        for card in self.all:
            card.gone, card.shrunk_mib, card.foreign_mib, card.foreign_sessions = False, 0, 0, 0
