"""Reads the cards through NVML, the library of NVIDIA's driver, by its own binding (pynvml).

Not yet run on a card: the tests run the real binding against a library of their own that stands for the
driver. Every call may block for as long as the driver does, so `Nvml.look` belongs in a thread.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import pynvml
from pynvml import NVMLError, NVMLLibraryMismatchError

from callsheet.service.clock import Clock
from callsheet.worker.stream.devices import Device, GpuProcess, Look, Reading, SeenDevice
from callsheet_gpu_worker.choice import Choice, Place
from callsheet_gpu_worker.lineage import lineage

REOPEN_S: Final = 600.0
"""How often the library is opened anew, since it sees a card that was added only then."""
TROUBLED_REOPEN_S: Final = 5.0
"""The same while something is wrong."""
_MIB: Final = 1 << 20

_GONE: Final = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
_SENTENCES: Final = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "libnvidia-ml.so.1 was not found: install NVIDIA's driver, or give this container its cards"
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "NVIDIA's driver is not loaded: load the kernel module nvidia",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "NVIDIA's library and the loaded driver differ in version, as after an update: start the machine anew"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        "no permission to speak to the driver: let this user open /dev/nvidiactl and /dev/nvidia0"
    ),
    pynvml.NVML_ERROR_GPU_IS_LOST: "the card has left the bus: look at its power, start the machine anew",
    pynvml.NVML_ERROR_RESET_REQUIRED: "the card does nothing until it is reset: nvidia-smi --gpu-reset",
    pynvml.NVML_ERROR_TIMEOUT: "the driver gave up waiting for the card",
}

ValueT = TypeVar("ValueT")


class Nvml:
    """The driver's library: opened when it is first asked, and again and again where that fails."""

    def __init__(
        self, choice: Choice, clock: Clock, *, sees_pids: bool, encoder_sessions_max: int | None = None
    ) -> None:
        """Speak to nobody yet.

        Args:
            choice: Other cards are passed over.
            clock: Says when a look begins.
            sees_pids: The driver's process ids are those of this machine.
            encoder_sessions_max: Of each card, which NVML cannot tell; None for no limit.
        """
        self._choice = choice
        self._clock = clock
        self._sees_pids = sees_pids
        self._encoder_sessions_max = encoder_sessions_max
        self._open = False
        self._opened_at = 0.0
        self._troubled = False
        self._driver = ""
        self._known: dict[str, Device] = {}

    def look(self) -> Look:
        """Read all cards."""
        now = self._clock.monotonic()
        try:
            self._reopen(now)
            look = self._look(now)
        except NVMLError as error:
            problem = sentence(error)
            gone = [SeenDevice(device=one, problem=problem) for one in self._known.values()]
            look = Look(at=now, devices=gone, problem=problem, worker_pid=os.getpid())
        self._troubled = bool(look.problem) or any(seen.problem for seen in look.devices)
        return look

    def _reopen(self, now: float) -> None:
        """Open the library, and close it before where it is time for that.

        Raises:
            NVMLError: It cannot be opened.
        """
        if self._open and now - self._opened_at < (TROUBLED_REOPEN_S if self._troubled else REOPEN_S):
            return
        if self._open:
            self._open = False
            _told(pynvml.nvmlShutdown)
        pynvml.nvmlInit()
        self._open, self._opened_at = True, now
        self._driver = pynvml.nvmlSystemGetDriverVersion()

    def _look(self, now: float) -> Look:
        seen: dict[str, SeenDevice] = {}
        others: list[str] = []
        errors: dict[int, NVMLError] = {}
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                for place, handle in _places(index):
                    if self._choice.takes(place):
                        seen[place.uuid] = self._see(place, handle)
                    else:
                        others.append(place.uuid)
            except NVMLError as error:
                errors[index] = error
        absent = [
            _absent(one, errors.get(one.index)) for uuid, one in self._known.items() if uuid not in seen
        ]
        self._known |= {uuid: one.device for uuid, one in seen.items()}
        problem = "" if self._known else self._nothing(others, errors)
        return Look(at=now, devices=[*seen.values(), *absent], problem=problem, worker_pid=os.getpid())

    def _nothing(self, others: Sequence[str], errors: Mapping[int, NVMLError]) -> str:
        """Return why there is no card to use."""
        if errors:
            return "; ".join(f"GPU {index}: {sentence(error)}" for index, error in errors.items())
        if others:
            known = ", ".join(others)
            return f"{self._choice.source} names none of this machine's cards, which are {known}: correct it"
        return "the driver lists no card: see that one is plugged in, and given to this container"

    def _see(self, place: Place, handle: pynvml.c_nvmlDevice_t) -> SeenDevice:
        """Read one card.

        Raises:
            NVMLError: It cannot be read, and never was.
        """
        known = self._known.get(place.uuid)
        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            device = Device(
                uuid=place.uuid,
                index=place.index,
                name=known.name if known else pynvml.nvmlDeviceGetName(handle),
                capacity_mib=memory.total // _MIB,
                driver=self._driver,
                instance=place.instance,
                encoder_sessions_max=self._encoder_sessions_max,
            )
            return SeenDevice(device=device, reading=self._read(handle, memory))
        except NVMLError as error:
            if known is None:
                raise
            return _absent(known, error)

    def _read(self, handle: pynvml.c_nvmlDevice_t, memory: pynvml.c_nvmlMemory_t) -> Reading:
        utilisation = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        sessions = _told(lambda: pynvml.nvmlDeviceGetEncoderSessions(handle))
        return Reading(
            used_mib=-(-memory.used // _MIB),
            processes=_processes(handle) if self._sees_pids else None,
            encoder_pids=None if sessions is None else [one.pid for one in sessions],
            utilisation_percent=None if utilisation is None else utilisation.gpu,
            temperature_c=_temperature(handle),
        )


def sentence(error: NVMLError) -> str:
    """Return what is wrong and what to do, for a person."""
    return _SENTENCES.get(error.value) or f"the driver says: {error} (NVML error {error.value})"


def _absent(device: Device, error: NVMLError | None) -> SeenDevice:
    if error is None:
        return SeenDevice(device=device, gone=True, problem="the driver does not list the card")
    return SeenDevice(device=device, gone=error.value in _GONE, problem=sentence(error))


def _places(index: int) -> Iterator[tuple[Place, pynvml.c_nvmlDevice_t]]:
    """Yield what can be used of one card: its MIG instances, or without any the card itself."""
    card = pynvml.nvmlDeviceGetHandleByIndex(index)
    mode = _told(lambda: pynvml.nvmlDeviceGetMigMode(card))
    if mode is None or not mode[0]:
        yield Place(uuid=pynvml.nvmlDeviceGetUUID(card), index=index, instance=None), card
        return
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, number)
        except NVMLError as error:
            if error.value == pynvml.NVML_ERROR_NOT_FOUND:
                continue
            raise
        yield Place(uuid=pynvml.nvmlDeviceGetUUID(handle), index=index, instance=number), handle


def _processes(handle: pynvml.c_nvmlDevice_t) -> list[GpuProcess] | None:
    """Return who holds memory; a process that both computes and draws counts with its larger figure."""
    computing = _told(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    if computing is None:
        return None
    drawing = _told(lambda: pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle))
    sharing = _told(lambda: pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle))
    used: dict[int, int | None] = {}
    for process in (*computing, *(drawing or ()), *(sharing or ())):
        held, before = process.usedGpuMemory, used.get(process.pid, 0)
        used[process.pid] = None if held is None or before is None else max(-(-held // _MIB), before)
    return [GpuProcess(pid=pid, used_mib=mib, lineage=lineage(pid)) for pid, mib in used.items()]


def _temperature(handle: pynvml.c_nvmlDevice_t) -> int | None:
    """Return the temperature; drivers before 560 know the older call alone."""
    newer = _told(lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    if newer is not None:
        return newer
    return _told(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _told(call: Callable[[], ValueT]) -> ValueT | None:
    """Return what a call tells; None where this card or driver cannot tell it.

    Raises:
        NVMLError: The card is gone.
    """
    try:
        return call()
    except NVMLLibraryMismatchError:
        return None
    except NVMLError as error:
        if error.value in _GONE:
            raise
        return None
