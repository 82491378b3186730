"""What a worker says of its cards: in its hello, in its heartbeats, and in its log. No I/O, no clock."""

from collections.abc import Iterable, Sequence

from callsheet.v1.lease_service_pb2 import Device as WireDevice
from callsheet.v1.lease_service_pb2 import DeviceReading, Hello, LeaseRef
from callsheet.worker.stream.devices import Device, Look, SeenDevice


class Cards:
    """The cards of a hello, and the newest look at them.

    A card that was seen once stays in the hello; its readings say when it is gone.
    """

    def __init__(self, hello: Hello) -> None:
        """Begin with a hello that names no card, and gets those that are seen."""
        self._hello = hello
        self._look: Look | None = None
        self._said: dict[str, str] = {}
        self.turned = False
        """The newest look shows a card in other trouble, or out of trouble, since the one before."""

    def take(self, look: Look) -> bool:
        """Take in a look; True where it shows a card that the hello did not name."""
        self.turned = self._look is not None and _troubles(look) != _troubles(self._look)
        self._look = look
        named = {device.uuid for device in self._hello.devices}
        added = [seen.device for seen in look.devices if seen.device.uuid not in named]
        self._hello.devices.extend(_on_wire(device) for device in added)
        if added:
            self._hello.software_gpu = False  # that is for workers without a card
        return bool(added)

    def news(self, now: float) -> list[str]:
        """Return what changed since this was last asked, in sentences."""
        look = self._look
        if look is None:
            return []
        silent = "" if look.fresh(now) else "the driver does not answer"
        problems = {name_of(seen.device): silent or seen.problem for seen in look.devices}
        problems = problems or {"GPUs": silent or look.problem}
        news = [
            f"{name}: {problem or 'can be used'}"
            for name, problem in problems.items()
            if self._said.get(name) != problem
        ]
        self._said = problems
        return news

    def readings(self, now: float, held: Iterable[tuple[str, LeaseRef]]) -> list[DeviceReading]:
        """Return what to say of each card of the hello in a heartbeat.

        Where the newest look is old each reading says only that. What is not known stays unset.

        Args:
            now: In monotonic seconds.
            held: Cards, and leases whose processes may hold memory of them.
        """
        look = self._look
        if look is None:
            return []
        leases: dict[str, list[LeaseRef]] = {}
        for uuid, lease in held:
            leases.setdefault(uuid, []).append(lease)
        silent_s = 0.0 if look.fresh(now) else now - look.at
        own = frozenset({look.worker_pid})
        return [_reading(seen, own, silent_s, leases.get(seen.device.uuid, ())) for seen in look.devices]


def _troubles(look: Look) -> dict[str, str]:
    return {seen.device.uuid: seen.problem for seen in look.devices}


def _reading(
    seen: SeenDevice, own: frozenset[int], silent_s: float, held: Sequence[LeaseRef]
) -> DeviceReading:
    said = DeviceReading(uuid=seen.device.uuid, held=held)
    if silent_s:
        said.problem = f"the driver has not answered for {silent_s:.0f} s"
        return said
    said.gone, said.problem = seen.gone, seen.problem
    reading = seen.reading
    if reading is None:
        return said
    said.memory_mib, said.used_mib = seen.device.capacity_mib, reading.used_mib
    ours_mib = reading.used_below(own)
    if ours_mib is not None:
        said.ours_mib = ours_mib
    if reading.encoder_pids is not None:
        said.encoder_sessions = len(reading.encoder_pids)
    if reading.utilisation_percent is not None:
        said.utilization_percent = reading.utilisation_percent
    if reading.temperature_c is not None:
        said.temperature_c = max(0, reading.temperature_c)
    return said


def _on_wire(device: Device) -> WireDevice:
    return WireDevice(
        uuid=device.uuid,
        index=device.index,
        name=device.name,
        memory_mib=device.capacity_mib,
        encoder_sessions_max=device.encoder_sessions_max,
        driver=device.driver,
    )


def name_of(device: Device) -> str:
    """Return how a card is called in a log."""
    instance = "" if device.instance is None else f":{device.instance}"
    return f"GPU {device.index}{instance} ({device.name}, {device.uuid})"
