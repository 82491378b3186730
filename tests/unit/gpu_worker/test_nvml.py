"""The real binding against a library that stands for NVIDIA's."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from callsheet_gpu_worker.choice import Choice
from callsheet_gpu_worker.nvml import REOPEN_S, TROUBLED_REOPEN_S, Nvml

from callsheet.worker.stream.devices import Device, Look, Reading, SeenDevice
from tests.support.cards import (
    ATLAS,
    BOREAS,
    DRIVER_NOT_LOADED,
    LOST,
    NOT_SUPPORTED,
    RESET_REQUIRED,
    SONAME,
    TIMEOUT,
    UNKNOWN,
    VERSION_MISMATCH,
    Driver,
    HandClock,
    card,
    compiled,
)

INSTANCES = ["MIG-cccccccc-0000-0000-0000-000000000001", "MIG-cccccccc-0000-0000-0000-000000000002"]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def nvml(clock: HandClock) -> Nvml:
    return Nvml(Choice(), clock, sees_pids=True)


@pytest.fixture
def own_child() -> Iterator[int]:
    """A process of ours that has one below it."""
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"], start_new_session=True) as process:
        yield process.pid
        os.killpg(process.pid, 9)


def reading(look: Look, uuid: str = ATLAS) -> Reading:
    seen = look.of(uuid)
    assert seen is not None
    assert seen.reading is not None, seen.problem
    return seen.reading


def trouble(look: Look, uuid: str = ATLAS) -> SeenDevice:
    seen = look.of(uuid)
    assert seen is not None
    assert seen.reading is None
    assert seen.problem
    return seen


def test_every_card_says_who_it_is(driver: Driver, nvml: Nvml) -> None:
    driver.set(card(), card(BOREAS, index=1, mib=24_576))

    look = nvml.look()

    assert not look.problem
    assert [seen.device for seen in look.devices] == [
        Device(uuid=ATLAS, index=0, name="Tesla 16 GB", capacity_mib=16_384, driver="580.65.06"),
        Device(uuid=BOREAS, index=1, name="Tesla 24 GB", capacity_mib=24_576, driver="580.65.06"),
    ]


def test_readings_follow_the_driver(driver: Driver, nvml: Nvml) -> None:
    driver.set(card(used_mib=400), f"util {ATLAS} 7", f"temperature {ATLAS} 41")
    before = reading(nvml.look())
    driver.set(card(used_mib=9000), f"util {ATLAS} 99", f"temperature {ATLAS} 83", f"session {ATLAS} 77")
    after = reading(nvml.look())

    assert (before.used_mib, before.utilisation_percent, before.temperature_c) == (400, 7, 41)
    assert before.encoder_pids == []
    assert (after.used_mib, after.utilisation_percent, after.temperature_c) == (9000, 99, 83)
    assert after.encoder_pids == [77]


def test_memory_is_told_apart_by_who_holds_it(driver: Driver, nvml: Nvml, own_child: int) -> None:
    driver.set(
        card(used_mib=3400),
        f"process {ATLAS} {own_child} 1000",
        f"process {ATLAS} {own_child} 1200 graphics",
        f"process {ATLAS} {os.getpid()} 300 mps",
        f"process {ATLAS} 1 1500",
    )
    seen = reading(nvml.look())

    assert seen.used_below(frozenset({own_child})) == 1200
    assert seen.used_below(frozenset({os.getpid()})) == 1500
    assert seen.used_below(frozenset({1})) == 3000
    assert seen.used_below(frozenset({own_child + 1_000_000})) == 0


def test_process_below_a_child_counts_as_the_child(driver: Driver, nvml: Nvml, own_child: int) -> None:
    children = Path(f"/proc/{own_child}/task/{own_child}/children")
    while not (grandchild := children.read_text(encoding="ascii").strip()):
        os.sched_yield()
    driver.set(card(), f"process {ATLAS} {grandchild} 700")

    assert reading(nvml.look()).used_below(frozenset({own_child})) == 700


def test_process_whose_memory_the_driver_hides_makes_ours_unknown_only_if_it_is_ours(
    driver: Driver, nvml: Nvml
) -> None:
    driver.set(card(), f"process {ATLAS} {os.getpid()} 100", f"process {ATLAS} 1 -1")
    foreign_hidden = reading(nvml.look())
    driver.add(f"process {ATLAS} {os.getpid()} -1 graphics")
    own_hidden = reading(nvml.look())

    assert foreign_hidden.used_below(frozenset({os.getpid()})) == 100
    assert own_hidden.used_below(frozenset({os.getpid()})) is None


def test_process_ids_of_another_namespace_are_not_believed(driver: Driver, clock: HandClock) -> None:
    driver.set(card(), f"process {ATLAS} {os.getpid()} 100")

    seen = reading(Nvml(Choice(), clock, sees_pids=False).look())

    assert seen.used_below(frozenset({os.getpid()})) is None


def test_what_a_driver_cannot_tell_is_unknown_and_the_rest_is_told(driver: Driver, nvml: Nvml) -> None:
    driver.set(
        card(used_mib=500),
        f"fail nvmlDeviceGetComputeRunningProcesses_v3 {NOT_SUPPORTED}",
        f"fail nvmlDeviceGetEncoderSessions {NOT_SUPPORTED}",
    )

    assert reading(nvml.look()) == Reading(used_mib=500)


@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED])
@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates"]
)
def test_lost_card_is_gone_and_the_other_stays(driver: Driver, nvml: Nvml, function: str, code: int) -> None:
    driver.set(card(), card(BOREAS, index=1))
    nvml.look()
    driver.add(f"fail {function} {code} {ATLAS}")

    look = nvml.look()

    assert trouble(look).gone
    assert ("left the bus" in trouble(look).problem) == (code == LOST)
    assert reading(look, BOREAS).used_mib == 400


def test_card_that_comes_back_is_read_again(driver: Driver, nvml: Nvml, clock: HandClock) -> None:
    driver.set(card())
    nvml.look()
    driver.drop("device")
    assert trouble(nvml.look()).gone
    driver.set()
    clock.go(TROUBLED_REOPEN_S)
    look = nvml.look()
    assert trouble(look).gone
    assert trouble(look).problem == "the driver does not list the card"

    driver.set(card(used_mib=5))
    clock.go(TROUBLED_REOPEN_S)

    assert reading(nvml.look()).used_mib == 5


def test_added_card_is_seen_when_the_library_is_opened_anew(
    driver: Driver, nvml: Nvml, clock: HandClock
) -> None:
    driver.set(card())
    nvml.look()
    driver.add(card(BOREAS, index=1))
    assert nvml.look().of(BOREAS) is None

    clock.go(REOPEN_S)

    assert reading(nvml.look(), BOREAS).used_mib == 400


def test_card_that_shrank_says_its_new_size(driver: Driver, nvml: Nvml) -> None:
    driver.set(card(mib=16_384))
    nvml.look()
    driver.set(card(mib=15_360))
    seen = nvml.look().of(ATLAS)

    assert seen is not None
    assert seen.device.capacity_mib == 15_360


def test_passing_fault_of_one_card_does_not_make_it_gone(driver: Driver, nvml: Nvml) -> None:
    driver.set(card())
    nvml.look()
    driver.add(f"fail nvmlDeviceGetMemoryInfo {UNKNOWN}")

    seen = trouble(nvml.look())

    assert not seen.gone
    assert seen.problem == "the driver says: Unknown Error (NVML error 999)"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (DRIVER_NOT_LOADED, "load the kernel module nvidia"),
        (VERSION_MISMATCH, "start the machine anew"),
        (TIMEOUT, "gave up waiting"),
    ],
)
def test_driver_that_cannot_be_opened_says_what_to_do_and_is_tried_again(
    driver: Driver, nvml: Nvml, code: int, remedy: str
) -> None:
    driver.set(card(), f"fail nvmlInitWithFlags {code}")
    assert remedy in nvml.look().problem
    assert nvml.look().devices == []

    driver.drop("fail")

    assert reading(nvml.look()).used_mib == 400


def test_driver_that_goes_leaves_its_cards_without_a_reading(
    driver: Driver, nvml: Nvml, clock: HandClock
) -> None:
    driver.set(card())
    nvml.look()
    driver.add(f"fail nvmlInitWithFlags {DRIVER_NOT_LOADED}")
    clock.go(REOPEN_S)

    look = nvml.look()

    assert "not loaded" in look.problem
    assert "not loaded" in trouble(look).problem


def test_no_card_is_said(driver: Driver, nvml: Nvml) -> None:
    assert "the driver lists no card" in nvml.look().problem


def test_card_that_was_never_readable_is_said(driver: Driver, nvml: Nvml) -> None:
    driver.set(card(), f"fail nvmlDeviceGetMemoryInfo {UNKNOWN}")

    look = nvml.look()

    assert look.devices == []
    assert look.problem == "GPU 0: the driver says: Unknown Error (NVML error 999)"


def test_chosen_cards_alone_are_read(driver: Driver, clock: HandClock) -> None:
    driver.set(card(), card(BOREAS, index=1), f"fail nvmlDeviceGetMemoryInfo {UNKNOWN} {ATLAS}")

    look = Nvml(Choice(entries=["1"], source="CALLSHEET_GPU_DEVICES"), clock, sees_pids=True).look()

    assert [seen.device.uuid for seen in look.devices] == [BOREAS]


def test_choice_of_no_card_names_those_that_are_there(driver: Driver, clock: HandClock) -> None:
    driver.set(card())

    look = Nvml(Choice(entries=["7"], source="CALLSHEET_GPU_DEVICES"), clock, sees_pids=True).look()

    assert look.problem == (
        f"CALLSHEET_GPU_DEVICES names none of this machine's cards, which are {ATLAS}: correct it"
    )


def test_instances_of_a_card_stand_for_it(driver: Driver, nvml: Nvml) -> None:
    driver.set(
        card(mib=81_920),
        f"mig {INSTANCES[0]} 0 40192 37 Tesla MIG 3g.40gb",
        f"mig {INSTANCES[1]} 0 20096 12 Tesla MIG 1g.20gb",
        f"process {INSTANCES[1]} {os.getpid()} 900",
    )
    look = nvml.look()

    assert [(one.device.uuid, one.device.instance, one.device.capacity_mib) for one in look.devices] == [
        (INSTANCES[0], 0, 40_192),
        (INSTANCES[1], 1, 20_096),
    ]
    assert reading(look, INSTANCES[1]).used_below(frozenset({os.getpid()})) == 900
    assert reading(look, INSTANCES[1]).encoder_pids is None


async def _looked(folder: Path, *, environment: dict[str, str]) -> str:
    """Look in another process, which finds its library in *folder*."""
    program = (
        "from callsheet.service.clock import SystemClock\n"
        "from callsheet_gpu_worker.choice import Choice\n"
        "from callsheet_gpu_worker.nvml import Nvml\n"
        "print(Nvml(Choice(), SystemClock(), sees_pids=True).look())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program,
        env=os.environ | environment | {"LD_LIBRARY_PATH": str(folder)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_machine_without_the_library_has_no_cards(tmp_path: Path) -> None:
    (tmp_path / SONAME).write_text("no library")

    assert "libnvidia-ml.so.1 was not found: install NVIDIA's driver" in await _looked(
        tmp_path, environment={}
    )


async def test_old_driver_tells_what_it_can(driver: Driver, tmp_path: Path) -> None:
    driver.set(card(), f"temperature {ATLAS} 50", f"process {ATLAS} 1 77")
    compiled(tmp_path / "old", "-DOLD_DRIVER")

    said = await _looked(tmp_path / "old", environment={})

    assert "used_mib=400, processes=None" in said
    assert "temperature_c=50" in said
