"""The compose file: one published port, no rights, only settings that exist."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import JsonValue

from callsheet.identities import Role
from callsheet.tls import read_credentials
from tests.deploy.manifests import (
    DOCKERFILE,
    LOW_PRIORITY,
    NODE,
    ROLES,
    ROOT,
    SETTINGS,
    compose,
    mapping,
    several,
    targets,
    texts,
    variables,
)
from tests.support.patience import PATIENCE_S

SERVICES = {name: NODE.validate_python(one) for name, one in mapping(compose(), "services").items()}
OURS = sorted(SERVICES.keys() & SETTINGS.keys())


def test_all_services_are_there() -> None:
    assert SERVICES.keys() >= SETTINGS.keys() | {"setup", "renewal", "postgres", "objectstore", "prometheus"}
    assert {name: texts(one, "profiles") for name, one in SERVICES.items() if "profiles" in one} == {
        "gpu-worker": ["gpu"],
        "immich-agent": ["immich"],
        "objectstore": ["s3"],
        "prometheus": ["observability"],
        "grafana": ["observability"],
    }


def test_the_gateway_alone_is_published_and_on_loopback_at_first() -> None:
    published = {name: texts(one, "ports") for name, one in SERVICES.items() if "ports" in one}

    assert published.pop("gateway") == ["${CALLSHEET_ADDRESS:-127.0.0.1}:${CALLSHEET_PORT:-8080}:8080"]
    assert published == {"grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"]}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_can_write_to_its_volumes_only_and_gain_no_rights(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert texts(service, "cap_drop") == ["ALL"]
    assert texts(service, "security_opt") == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert "privileged" not in service
    assert ("cap_add" in service) == (name in {"postgres", "setup", "renewal"})


@pytest.mark.parametrize("name", OURS)
def test_service_is_built_by_the_target_of_its_name(name: str) -> None:
    build = mapping(SERVICES[name], "build")

    assert build["target"] == name
    assert name in targets()
    assert ROOT / str(build["dockerfile"]) == DOCKERFILE
    assert SERVICES[name]["image"] == f"callsheet/{name}:${{CALLSHEET_VERSION:-latest}}"


@pytest.mark.parametrize("name", OURS)
def test_service_is_told_of_settings_that_it_has(name: str) -> None:
    assert mapping(SERVICES[name], "environment").keys() - variables(name) == set()


@pytest.mark.parametrize("name", ["gateway", "cpu-worker", "gpu-worker"])
def test_roots_are_mounted_where_they_are_said_to_be(name: str) -> None:
    service = SERVICES[name]
    roots = json.loads(str(mapping(service, "environment")["CALLSHEET_ROOTS"]))
    mounted = {
        parts[-2 if parts[-1] == "ro" else -1]: parts[-1] != "ro"
        for parts in (mount.split(":") for mount in texts(service, "volumes"))
    }

    assert roots.keys() == {"library", "derivatives", "outputs", "uploads"}
    for root in roots.values():
        path = PurePosixPath(root["path"])
        place = next(str(one) for one in (path, *path.parents) if str(one) in mounted)
        assert mounted[place] is root.get("writable", False)


def test_the_database_is_reached_by_the_scheduler_alone_and_nothing_inside_gets_out() -> None:
    networks = {name: set(texts(one, "networks")) for name, one in SERVICES.items() if "networks" in one}

    assert {name for name, found in networks.items() if "queue" in found} == {"postgres", "scheduler"}
    assert {name for name, found in networks.items() if "edge" in found} == {
        "gateway",
        "immich-agent",
        "grafana",
    }
    assert {name for name, one in mapping(compose(), "networks").items() if one == {"internal": True}} == {
        "queue",
        "services",
        "objects",
    }


def test_the_s3_server_is_reached_by_those_alone_who_have_its_credentials() -> None:
    asking = {name for name, one in SERVICES.items() if "objects" in texts(one, "networks")}

    assert asking == {"objectstore", "gateway", "cpu-worker", "gpu-worker"}
    assert texts(SERVICES["objectstore"], "networks") == ["objects"]


def test_grafana_finds_prometheus_and_the_dashboards_where_its_files_say() -> None:
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in texts(SERVICES["grafana"], "volumes")}
    provisioning = ROOT / mounted["/etc/grafana/provisioning"]
    (source,) = several(read(provisioning / "datasources/prometheus.yml"), "datasources")
    (provider,) = several(read(provisioning / "dashboards/callsheet.yml"), "providers")

    assert urlsplit(str(source["url"])) == ("http", "prometheus:9090", "", "", "")
    assert source["type"] == "prometheus"
    assert shared("grafana", "prometheus") == {"services"}
    assert (ROOT / mounted[str(mapping(provider, "options")["path"])] / "callsheet.json").is_file()


def read(path: Path) -> dict[str, JsonValue]:
    return NODE.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))


def shared(*names: str) -> set[str]:
    """Return the networks that all these services are on."""
    first, *others = (set(texts(SERVICES[name], "networks")) for name in names)
    return first.intersection(*others)


@pytest.mark.parametrize(("name", "stop_s"), [("cpu-worker", 120), ("gpu-worker", 600)])
def test_worker_is_stopped_later_than_it_hands_back(name: str, stop_s: int) -> None:
    drain_s = float(str(mapping(SERVICES[name], "environment")["CALLSHEET_DRAIN_GRACE_S"]))

    assert SERVICES[name]["stop_grace_period"] == f"{stop_s // 60}m"
    assert drain_s + 10 < stop_s


def test_low_priority_bounds_the_worker_that_builds_the_cache() -> None:
    changed = mapping(
        NODE.validate_python(yaml.safe_load(LOW_PRIORITY.read_text(encoding="utf-8"))),
        "services",
        "cpu-worker",
    )

    assert " ".join(texts(changed, "command")) == "nice -n 19 ionice -c 3 callsheet-cpu-worker"
    assert changed["cpus"] == 0.5


@pytest.mark.parametrize("name", OURS)
def test_service_shows_the_certificate_that_is_issued_into_its_volume(name: str) -> None:
    setup = texts(SERVICES["setup"], "command")[-1]
    at = {mount.split(":")[0]: mount.split(":")[1] for mount in texts(SERVICES["setup"], "volumes")}
    (volume,) = (one.split(":")[0] for one in texts(SERVICES[name], "volumes") if "-secrets:" in one)
    issued = re.findall(r"^ *certificate (\w+) \w+ (\w+)$", setup, re.MULTILINE)
    roles = {f"/secrets/{place}": Role(role) for role, place in issued}

    assert mapping(SERVICES[name], "environment")["CALLSHEET_TLS_DIR"] == "/etc/callsheet/tls"
    assert roles[at[volume]] == ROLES[name]


def test_the_key_that_makes_certificates_is_seen_by_who_issues_them_alone() -> None:
    holders = {
        name for name, one in SERVICES.items() if any("authority:" in m for m in texts(one, "volumes"))
    }

    assert holders == {"setup", "renewal"}
    assert [SERVICES[name]["network_mode"] for name in holders] == ["none", "none"]


def test_no_service_sees_the_secrets_of_another() -> None:
    secrets = {
        name: {mount.split(":")[0] for mount in texts(one, "volumes") if "-secrets:" in mount}
        for name, one in SERVICES.items()
    }

    assert secrets.pop("setup") == secrets.pop("renewal") == set().union(*secrets.values())
    assert secrets == {
        "scheduler": {"scheduler-secrets"},
        "gateway": {"gateway-secrets"},
        "cpu-worker": {"worker-secrets"},
        "gpu-worker": {"worker-secrets"},
        "immich-agent": {"immich-secrets"},
        "postgres": {"postgres-secrets"},
        "objectstore": {"objectstore-secrets"},
        "grafana": {"grafana-secrets"},
        "prometheus": set(),
    }


def test_secrets_are_made_once_by_two_that_begin_at_the_same_time(tmp_path: Path) -> None:
    if shutil.which("flock") is None:
        pytest.skip("no flock here: it is of util-linux")
    script = texts(SERVICES["setup"], "command")[-1].replace("$$", "$")
    for place in texts(SERVICES["setup"], "volumes"):
        folder = place.split(":")[1]
        (tmp_path / folder.removeprefix("/")).mkdir(parents=True)
    (tmp_path / "chown").write_text("#!/bin/sh\n", encoding="ascii")
    (tmp_path / "chown").chmod(0o755)
    script = re.sub(r"/(authority|secrets)\b", rf"{tmp_path}/\1", script)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    runs = [
        subprocess.Popen(
            ["/bin/sh", "-euc", script],
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(2)
    ]
    try:
        said = [run.communicate(timeout=PATIENCE_S)[0].decode() for run in runs]
    finally:
        for run in runs:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)

    assert [run.returncode for run in runs] == [0, 0], said
    made = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert {"authority/ca.crt", "secrets/gateway/admin-token", "secrets/scheduler/database-url"} <= made
    for place in ("scheduler", "gateway", "worker", "immich"):
        shown = read_credentials(tmp_path / "secrets" / place / "tls")
        assert shown.ca == (tmp_path / "authority" / "ca.crt").read_bytes()


def test_certificates_are_renewed_by_one_at_a_time() -> None:
    script = texts(SERVICES["setup"], "command")[-1]
    _, _, renewing = script.partition("while ")

    assert re.findall(r"^  (flock.*|sleep|certificates)", renewing, re.MULTILINE) == [
        "flock --unlock 9",
        "sleep",
        "flock 9",
        "certificates",
    ]
