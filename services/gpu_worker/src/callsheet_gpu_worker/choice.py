"""Which of a machine's cards a worker may use: by index, by UUID, or all of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.worker.stream.devices import Device

CUDA_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
ORDER_VARIABLE: Final = "CUDA_DEVICE_ORDER"
_NONE: Final = frozenset({"", "-1", "none", "void", "nodevfiles"})
_UUID_PREFIXES: Final = ("GPU-", "MIG-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a card is found."""

    uuid: str
    index: int
    """The driver's number; of a MIG instance its card's."""
    instance: int | None
    """The number of a MIG instance; None for a whole card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody wants of the cards."""

    entries: Sequence[str] | None = None
    """Indexes as ``0``, MIG instances as ``0:1``, UUIDs or beginnings of them; None for every card."""
    source: str = ""
    """The variable that says so."""

    def takes(self, place: Place) -> bool:
        """Return whether the card is wanted."""
        return self.entries is None or any(_names(entry, place) for entry in self.entries)

    def missing(self, devices: Sequence[Device]) -> list[str]:
        """Return the entries that name none of *devices*."""
        places = [Place(uuid=one.uuid, index=one.index, instance=one.instance) for one in devices]
        return [entry for entry in self.entries or () if not any(_names(entry, one) for one in places)]


def choice_of(setting: str | None, environment: Mapping[str, str]) -> Choice:
    """Return what the setting says, and without it what CUDA's own variable says.

    CUDA counts the fastest card as 0 unless ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID``; here an index is
    always the driver's, in the order of the bus.
    """
    if setting is not None:
        return Choice(entries=_entries(setting), source="CALLSHEET_GPU_DEVICES")
    if CUDA_VARIABLE in environment:
        return Choice(entries=_entries(environment[CUDA_VARIABLE]), source=CUDA_VARIABLE)
    return Choice()


def order_is_doubtful(choice: Choice, devices: Sequence[Device], environment: Mapping[str, str]) -> bool:
    """Return whether CUDA might mean other cards by the same indexes."""
    return (
        choice.source == CUDA_VARIABLE
        and environment.get(ORDER_VARIABLE) != "PCI_BUS_ID"
        and any(not entry.startswith(_UUID_PREFIXES) for entry in choice.entries or ())
        and len({device.name for device in devices}) > 1
    )


def _entries(text: str) -> tuple[str, ...]:
    """Return the entries up to the first that names no card, where CUDA stops too."""
    found: list[str] = []
    for entry in text.split(","):
        word = entry.strip()
        if word.lower() in _NONE:
            break
        found.append(word)
    return tuple(found)


def _names(entry: str, place: Place) -> bool:
    if entry.startswith(_UUID_PREFIXES):
        return place.uuid.startswith(entry)
    card, _, instance = entry.partition(":")
    return card == str(place.index) and (not instance or instance == str(place.instance))
