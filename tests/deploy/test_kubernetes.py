"""The objects of deploy/k8s: valid, without rights, and joined by exactly the edges that are ours."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from callsheet_scheduler.use_cases.scaling import addable
from pydantic import JsonValue

from callsheet.identities import SCHEDULER_NAME, parse_identity
from tests.deploy.manifests import (
    BIN,
    K8S,
    NODE,
    ROLES,
    SETTINGS,
    Node,
    containers,
    environment,
    mapping,
    of_kind,
    rendered,
    several,
    targets,
    texts,
    variables,
    with_components,
)

VERSIONS = ("1.31", "1.34", "1.37")
NAME = "app.kubernetes.io/name"
ALL = (
    "gpu",
    "immich",
    "certificates",
    "keda",
    "postgres",
    "external-secrets",
    "monitoring",
    "ingress",
    "low-priority",
)
MIB = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Node]:
    return with_components(tmp_path_factory.mktemp("all"), ALL)


@pytest.fixture(scope="module")
def base() -> list[Node]:
    return rendered(K8S / "base")


@pytest.fixture(scope="module")
def deployments(everything: list[Node]) -> dict[str, Node]:
    return of_kind(everything, "Deployment")


def pod(deployment: Node) -> Node:
    return mapping(deployment, "spec", "template", "spec")


def mib(quantity: JsonValue) -> int:
    text = str(quantity)
    return int(text[:-2]) * MIB[text[-2:]]


def test_all_components_are_tried() -> None:
    assert {path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")} == set(ALL)


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid(everything: list[Node], tmp_path: Path, version: str) -> None:
    overlays = [one for name in ("dev", "prod") for one in rendered(K8S / "overlays" / name)]
    file = tmp_path / "objects.yaml"
    # Each object once: the schemas are slow, and the overlays have much in common.
    once = {json.dumps(one, sort_keys=True): one for one in (*everything, *overlays)}
    file.write_text(yaml.safe_dump_all(once.values()), encoding="utf-8")
    said = subprocess.run(
        [BIN / "kubernetes-validate", "-k", version, "--strict", "--quiet", "--no-warn", file],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_overlay_has_every_object_in_the_namespace(overlay: str) -> None:
    outside = {
        (one["kind"], mapping(one, "metadata")["name"])
        for one in rendered(K8S / "overlays" / overlay)
        if mapping(one, "metadata").get("namespace") != "callsheet"
    }

    assert outside == {("Namespace", "callsheet")}


def test_a_namespace_refuses_pods_that_are_not_restricted(base: list[Node]) -> None:
    labels = mapping(of_kind(base, "Namespace")["callsheet"], "metadata", "labels")

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_there_is_a_deployment_for_every_service(deployments: dict[str, Node]) -> None:
    assert deployments.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_pod_has_no_rights(deployments: dict[str, Node], everything: list[Node], name: str) -> None:
    spec = pod(deployments[name])

    assert (
        mapping(spec, "securityContext").items()
        >= {
            "runAsNonRoot": True,
            "runAsUser": 10001,
        }.items()
    )
    assert mapping(spec, "securityContext", "seccompProfile") == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == name
    assert name in of_kind(everything, "ServiceAccount")
    for container in containers(deployments[name]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for volume in several(spec, "volumes"):
        assert volume.keys() - {"name"} <= {"secret", "projected", "emptyDir", "persistentVolumeClaim"}
        assert "emptyDir" not in volume or "sizeLimit" in mapping(volume, "emptyDir")


@pytest.mark.parametrize("name", SETTINGS)
def test_container_has_limits_that_hold_what_it_may_write(deployments: dict[str, Node], name: str) -> None:
    spec = pod(deployments[name])
    written = sum(
        mib(mapping(one, "emptyDir")["sizeLimit"]) for one in several(spec, "volumes") if "emptyDir" in one
    )
    for container in containers(deployments[name]):
        limits = mapping(container, "resources", "limits")
        assert limits.keys() >= {"cpu", "memory", "ephemeral-storage"}
        assert mapping(container, "resources", "requests").keys() >= {"cpu", "memory", "ephemeral-storage"}
        assert mib(limits["ephemeral-storage"]) >= written


@pytest.mark.parametrize("name", SETTINGS)
def test_image_is_one_that_the_dockerfile_builds(deployments: dict[str, Node], name: str) -> None:
    for container in containers(deployments[name]):
        repository, _, tag = str(container["image"]).rpartition(":")
        assert repository.removeprefix("callsheet/") in targets()
        assert tag != "latest"


@pytest.mark.parametrize("name", SETTINGS)
def test_container_is_told_of_settings_that_it_has(
    deployments: dict[str, Node], everything: list[Node], name: str
) -> None:
    for container in containers(deployments[name]):
        told = {key for key in environment(everything, container) if key.startswith("CALLSHEET_")}
        assert told - variables(name) == set()
        assert told


@pytest.mark.parametrize("name", SETTINGS)
def test_file_that_a_setting_names_is_mounted(
    deployments: dict[str, Node], everything: list[Node], name: str
) -> None:
    volume = next(one for one in several(pod(deployments[name]), "volumes") if one["name"] == "secrets")
    sources = [mapping(one, "secret") for one in several(volume, "projected", "sources")] or [
        mapping(volume, "secret")
    ]
    there = {f"/etc/callsheet/{item['path']}" for source in sources for item in several(source, "items")}
    for container in containers(deployments[name]):
        named = {value for key, value in environment(everything, container).items() if key.endswith("_FILE")}
        assert named == there


@pytest.mark.parametrize("name", SETTINGS)
def test_pod_shows_a_certificate_of_its_role(
    deployments: dict[str, Node], everything: list[Node], name: str
) -> None:
    spec = pod(deployments[name])
    (secret,) = (
        mapping(one, "secret")["secretName"]
        for one in several(spec, "volumes")
        if one["name"] == "certificate"
    )
    (issued,) = (
        one
        for one in map(specified, of_kind(everything, "Certificate").values())
        if one["secretName"] == secret
    )
    identity = parse_identity(*texts(issued, "uris"))

    assert identity is not None
    assert identity.role == ROLES[name]
    for container in containers(deployments[name]):
        mounted = {one["name"]: one["mountPath"] for one in several(container, "volumeMounts")}
        assert environment(everything, container)["CALLSHEET_TLS_DIR"] == mounted["certificate"]


def specified(one: Node) -> Node:
    return mapping(one, "spec")


def test_the_scheduler_alone_can_be_taken_for_one(everything: list[Node]) -> None:
    issued = {name: specified(one) for name, one in of_kind(everything, "Certificate").items()}
    ca = issued.pop("callsheet-ca")

    assert ca["isCA"] is True
    assert {name for name, one in issued.items() if "server auth" in texts(one, "usages")} == {"scheduler"}
    assert {name: texts(one, "dnsNames") for name, one in issued.items() if "dnsNames" in one} == {
        "scheduler": [SCHEDULER_NAME]
    }
    assert {str(mapping(one, "issuerRef")["name"]) for one in issued.values()} == {"callsheet"}


@pytest.mark.parametrize("name", SETTINGS)
def test_probes_ask_the_port_of_probes(deployments: dict[str, Node], name: str) -> None:
    for container in containers(deployments[name]):
        ports = {one["name"]: one["containerPort"] for one in several(container, "ports")}
        assert ports["ops"] == 7430
        for probe, path in (
            ("startupProbe", "/livez"),
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
        ):
            assert mapping(container, probe, "httpGet") == {"path": path, "port": "ops"}


def test_services_lead_to_ports_that_exist(everything: list[Node], deployments: dict[str, Node]) -> None:
    for service in of_kind(everything, "Service").values():
        chosen = deployments[str(mapping(service, "spec", "selector")[NAME])]
        ports = {str(one["name"]) for container in containers(chosen) for one in several(container, "ports")}
        assert {str(one["targetPort"]) for one in several(service, "spec", "ports")} <= ports


def selected(selector: Node) -> Iterator[str]:
    """Yield the names of the pods that a selector means; ``*`` for all of a namespace."""
    named = mapping(selector, "matchLabels")
    if NAME in named:
        yield str(named[NAME])
    elif named:
        yield "=".join(str(part) for part in next(iter(named.items())))
    for expression in several(selector, "matchExpressions"):
        yield from texts(expression, "values")
    if not selector:
        yield "*"


def peers(rule: Node, side: str) -> Iterator[str]:
    for peer in several(rule, side):
        names = list(selected(mapping(peer, "podSelector"))) if "podSelector" in peer else ["*"]
        space = mapping(peer, "namespaceSelector", "matchLabels").get("kubernetes.io/metadata.name")
        yield from (f"{space}/{name}" if space else name for name in names)
    if not several(rule, side):
        yield "anywhere"


def edges(objects: list[Node], direction: str, side: str) -> set[tuple[str, str, int]]:
    """Return (pod, peer, port) of every edge that is allowed."""
    return {
        (name, peer, int(str(port["port"])))
        for policy in of_kind(objects, "NetworkPolicy").values()
        for name in selected(mapping(policy, "spec", "podSelector"))
        for rule in several(policy, "spec", direction)
        for peer in peers(rule, side)
        for port in several(rule, "ports")
    }


OURS = "app.kubernetes.io/part-of=callsheet"
DNS = "kube-system/k8s-app=kube-dns"
DATABASE = "cnpg.io/cluster=postgres"


def test_nothing_is_allowed_at_first(base: list[Node]) -> None:
    policy = mapping(of_kind(base, "NetworkPolicy")["nothing-but"], "spec")

    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_pods_are_reached_by_those_who_have_to(everything: list[Node]) -> None:
    assert edges(everything, "ingress", "from") == {
        *(("scheduler", name, 7420) for name in SETTINGS),
        ("scheduler", "keda/app=keda-operator", 7421),
        ("gateway", "ingress-nginx/*", 8080),
        (OURS, "monitoring/prometheus", 7430),
        (DATABASE, "scheduler", 5432),
        *((DATABASE, peer, port) for peer in (DATABASE, "cnpg-system/*") for port in (5432, 8000)),
    }


def test_pods_reach_what_they_have_to(everything: list[Node]) -> None:
    assert edges(everything, "egress", "to") == {
        *((name, "scheduler", 7420) for name in SETTINGS),
        (OURS, DNS, 53),
        ("scheduler", DATABASE, 5432),
        ("immich-agent", "immich/*", 2283),
        (DATABASE, DNS, 53),
        *((DATABASE, DATABASE, port) for port in (5432, 8000)),
        *((DATABASE, "anywhere", port) for port in (443, 6443)),
    }


def test_every_pod_bears_the_label_by_which_policies_and_prometheus_know_it(
    deployments: dict[str, Node],
) -> None:
    for name, one in deployments.items():
        labels = mapping(one, "spec", "template", "metadata", "labels")
        assert (labels[NAME], labels["app.kubernetes.io/part-of"]) == (name, "callsheet")


@pytest.mark.parametrize(("name", "grace_s"), [("cpu-worker", 900), ("gpu-worker", 3600)])
def test_worker_hands_back_before_it_is_killed(
    deployments: dict[str, Node], everything: list[Node], name: str, grace_s: int
) -> None:
    told = [environment(everything, one) for one in containers(deployments[name])]

    assert pod(deployments[name])["terminationGracePeriodSeconds"] == grace_s
    assert [float(one["CALLSHEET_DRAIN_GRACE_S"]) + 20 <= grace_s for one in told] == [True]


@pytest.mark.parametrize("name", ["scheduler", "gateway", "cpu-worker", "gpu-worker"])
def test_one_pod_at_a_time_is_taken_away(everything: list[Node], name: str) -> None:
    budget = mapping(of_kind(everything, "PodDisruptionBudget")[name], "spec")

    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": {NAME: name}}}


def test_two_schedulers_stand_and_an_immich_server_has_one_agent(deployments: dict[str, Node]) -> None:
    assert mapping(deployments["scheduler"], "spec")["replicas"] == 2
    assert mapping(deployments["immich-agent"], "spec")["replicas"] == 1
    assert mapping(deployments["immich-agent"], "spec", "strategy", "rollingUpdate")["maxSurge"] == 0


def test_a_gpu_worker_has_a_whole_card_and_its_node_stays_while_it_is_there(
    deployments: dict[str, Node],
) -> None:
    template = mapping(deployments["gpu-worker"], "spec", "template")
    notes = mapping(template, "metadata", "annotations")

    assert [
        mapping(one, "resources", "limits")["nvidia.com/gpu"] for one in containers(deployments["gpu-worker"])
    ] == [1]
    assert notes["karpenter.sh/do-not-disrupt"] == "true"
    assert notes["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_keda_asks_the_scheduler_in_words_that_it_knows(
    everything: list[Node], deployments: dict[str, Node]
) -> None:
    scaled = of_kind(everything, "ScaledObject")
    scaler = of_kind(everything, "Service")["scheduler-keda"]
    (scheduler,) = containers(deployments["scheduler"])

    assert environment(everything, scheduler)["CALLSHEET_KEDA_LISTEN"] == "0.0.0.0:7421"
    assert scaled.keys() == {"cpu-worker", "gpu-worker"}
    for name, one in scaled.items():
        told = environment(everything, next(containers(deployments[name])))
        assert "replicas" not in mapping(deployments[name], "spec")
        for trigger in several(one, "spec", "triggers"):
            metadata = {key: str(value) for key, value in mapping(trigger, "metadata").items()}
            assert trigger["type"] == "external-push"
            assert metadata["scalerAddress"] == "scheduler-keda.callsheet.svc:7421"
            assert addable(metadata).slots == int(told["CALLSHEET_SLOTS"])
            assert metadata["includeRunning"] == "true"
    assert several(scaler, "spec", "ports")[0]["port"] == 7421


def test_low_priority_bounds_the_worker_that_builds_the_cache(
    everything: list[Node], deployments: dict[str, Node]
) -> None:
    (worker,) = containers(deployments["cpu-worker"])
    made = NODE.validate_python(of_kind(everything, "PriorityClass")["callsheet-low"])

    assert (
        " ".join(texts(worker, "command")) == "/usr/bin/tini -- nice -n 19 ionice -c 3 callsheet-cpu-worker"
    )
    assert mapping(worker, "resources", "limits")["cpu"] == "500m"
    assert pod(deployments["cpu-worker"])["priorityClassName"] == "callsheet-low"
    assert (made["value"], made["preemptionPolicy"]) == (-10, "Never")
