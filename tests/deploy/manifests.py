"""What the files of deploy/ say, as values."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml
from callsheet_cpu_worker.settings import CpuWorkerSettings
from callsheet_gateway.settings import GatewaySettings
from callsheet_gpu_worker.settings import GpuWorkerSettings
from callsheet_immich_agent.settings import ImmichWorkerSettings
from callsheet_scheduler.settings import SchedulerSettings
from pydantic import JsonValue, TypeAdapter

from callsheet.identities import Role
from callsheet.service.settings import ServiceSettings

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "deploy/docker/Dockerfile"
COMPOSE: Final = ROOT / "docker-compose.yml"
LOW_PRIORITY: Final = ROOT / "deploy/docker/low-priority.yml"
K8S: Final = ROOT / "deploy/k8s"
BIN: Final = Path(sys.executable).parent

SETTINGS: Final[Mapping[str, type[ServiceSettings]]] = {
    "scheduler": SchedulerSettings,
    "gateway": GatewaySettings,
    "cpu-worker": CpuWorkerSettings,
    "gpu-worker": GpuWorkerSettings,
    "immich-agent": ImmichWorkerSettings,
}
"""Our services by the names that they have everywhere below deploy/."""

ROLES: Final[Mapping[str, Role]] = {
    "scheduler": Role.SCHEDULER,
    "gateway": Role.GATEWAY,
    "cpu-worker": Role.WORKER,
    "gpu-worker": Role.WORKER,
    "immich-agent": Role.IMMICH,
}
"""What the certificate of each service is for."""

Node = dict[str, JsonValue]
NODE: Final = TypeAdapter(Node)
NODES: Final = TypeAdapter(list[Node])
TEXTS: Final = TypeAdapter(list[str])


def mapping(node: Mapping[str, JsonValue], *path: str) -> Node:
    """Return the mapping at *path*, empty where there is none."""
    for name in path:
        node = NODE.validate_python(node.get(name) or {})
    return NODE.validate_python(node)


def several(node: Mapping[str, JsonValue], *path: str) -> list[Node]:
    """Return the list of mappings at *path*, empty where there is none."""
    return NODES.validate_python(mapping(node, *path[:-1]).get(path[-1]) or [])


def texts(node: Mapping[str, JsonValue], *path: str) -> list[str]:
    """Return the list of texts at *path*, empty where there is none."""
    return TEXTS.validate_python(mapping(node, *path[:-1]).get(path[-1]) or [])


def variables(service: str) -> set[str]:
    """Return the variables that a service reads."""
    return {f"CALLSHEET_{name.upper()}" for name in SETTINGS[service].model_fields}


def targets() -> set[str]:
    """Return the targets of the Dockerfile."""
    return set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE))


def compose() -> Node:
    """Return the compose file, with its anchors followed."""
    return NODE.validate_python(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def rendered(folder: Path) -> list[Node]:
    """Return the objects that Kustomize makes of a folder."""
    made = subprocess.run([BIN / "kubectl", "kustomize", folder], check=True, capture_output=True, text=True)
    return NODES.validate_python([one for one in yaml.safe_load_all(made.stdout) if one is not None])


def with_components(folder: Path, components: Sequence[str]) -> list[Node]:
    """Return the objects of the base with components, by a kustomization written into *folder*."""

    def below(path: Path) -> str:
        return os.path.relpath(path, folder)

    written = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "callsheet",
        "resources": [below(K8S / "base")],
        "components": [below(K8S / "components" / name) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return rendered(folder)


def of_kind(objects: Sequence[Node], kind: str) -> dict[str, Node]:
    """Return the objects of a kind by name."""
    return {str(mapping(one, "metadata")["name"]): one for one in objects if one["kind"] == kind}


def containers(deployment: Node) -> Iterator[Node]:
    """Yield all containers of a Deployment."""
    pod = mapping(deployment, "spec", "template", "spec")
    yield from several(pod, "initContainers")
    yield from several(pod, "containers")


def environment(objects: Sequence[Node], container: Node) -> dict[str, str]:
    """Return what a container is told; what is known only in the cluster is empty."""
    settings = of_kind(objects, "ConfigMap")
    found: dict[str, str] = {}
    for source in several(container, "envFrom"):
        data = mapping(settings[str(mapping(source, "configMapRef")["name"])], "data")
        found |= {name: str(value) for name, value in data.items()}
    return found | {str(one["name"]): str(one.get("value", "")) for one in several(container, "env")}
