"""The units of systemd start what there is, with settings that there are, and few rights."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
REFERENCE = (Path(__file__).parents[3] / "docs/reference/settings.md").read_text(encoding="utf-8")

HARDENED = {
    "User": "callsheet",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
}
LOW = {"Nice": "19", "IOSchedulingClass": "idle", "CPUQuota": "50%"}


def settings_of(path: Path) -> dict[str, str]:
    """Return what a unit sets; of what stands there twice the last."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_service_is_hardened_as_every_other(path: Path) -> None:
    assert HARDENED.items() <= settings_of(path).items()


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_service_starts_a_program_of_ours(path: Path) -> None:
    program = settings_of(path)["ExecStart"].split()[0].rsplit("/", 1)[1]

    assert program in {entry.name for entry in entry_points(group="console_scripts")}


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_every_variable_that_a_unit_sets_is_a_setting(path: Path) -> None:
    named = re.findall(r"CALLSHEET_[A-Z_]+(?==)", path.read_text(encoding="utf-8"))

    assert [name for name in named if f"`{name}`" not in REFERENCE] == []


@pytest.mark.parametrize(("kind", "limit_s"), [("cpu", 900), ("gpu", 3600)])
def test_worker_may_drain_before_it_is_killed(kind: str, limit_s: int) -> None:
    path = UNITS / f"callsheet-{kind}-worker.service"
    (grace_s,) = re.findall(r"CALLSHEET_DRAIN_GRACE_S=(\d+)", path.read_text(encoding="utf-8"))

    assert settings_of(path)["TimeoutStopSec"] == f"{limit_s}s"
    assert settings_of(path)["KillMode"] == "mixed"
    assert int(grace_s) < limit_s


def test_cache_is_built_at_night_at_the_lowest_priority() -> None:
    timer = settings_of(UNITS / "callsheet-cache.timer")

    assert timer["OnCalendar"] == "*-*-* 03:00:00"
    assert timer["RandomizedDelaySec"] == "30min"
    assert timer["Persistent"] == "true"
    assert LOW.items() <= settings_of(UNITS / "callsheet-cache.service").items()
    assert LOW.items() <= settings_of(UNITS / "low-priority.conf").items()
