"""How simulated workers name themselves and their jobs."""

from collections.abc import Sequence

from callsheet_scheduler.rpc.convert import known_type_to_wire

from callsheet.v1.lease_service_pb2 import Hello
from tests.support.simulator.cards import SimulatedCard
from tests.support.simulator.scheduler import TYPES


def uuid7(at_ms: int, number: int) -> str:
    """Return the UUIDv7 of an instant and a number of 74 bits."""
    high, low = number >> 62 & 0xFFF, 1 << 63 | number & (1 << 62) - 1
    text = f"{at_ms:012x}7{high:03x}{low:016x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def hello_of(
    name: str,
    host: str,
    slots: int,
    types: frozenset[str],
    roots: list[str],
    cards: Sequence[SimulatedCard] = (),
) -> Hello:
    """Return what a worker says of itself; one without a GPU does without."""
    offers = [known_type_to_wire(known) for known in TYPES if known.name in types]
    return Hello(
        worker_id=name,
        host=host,
        slots=slots,
        types=offers,
        roots=roots,
        writable_roots=roots,
        devices=[card.hello() for card in cards],
        software_gpu=not cards,
    )
