"""Writes the Deployments of the rendered base as podman 4.3 can play them.

``python -m tests.deploy.playable FOLDER`` writes ``storage.yaml``, and for each Deployment ``NAME.yaml`` and
``NAME.items``: the keys and files of its Secret. All is as on a cluster but for what podman does otherwise:

- it knows no ``status.podIP`` and fills in no ``$(POD_IP)``: the name of the Service stands for it;
- the values of Secrets stay in base64: a volume NAME-secrets, filled by hand, stands in their place;
- an emptyDir is shared by all pods that call it so: it bears the Deployment's name as well;
- every port of a pod is published on the host, where two pods have 7430: none is named;
- probes become curl inside the container, on timers of systemd: who plays asks ``/readyz``;
- it plays one replica.
"""

import sys
from pathlib import Path
from typing import Final

import yaml

from tests.deploy.manifests import K8S, NODE, Node, mapping, of_kind, rendered, several

PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")


def playable(deployment: Node) -> tuple[Node, dict[str, str]]:
    """Return a Deployment that podman plays, and the files of its Secret by their keys."""
    name = str(mapping(deployment, "metadata")["name"])
    pod = mapping(deployment, "spec", "template", "spec")
    named = {str(one["name"]): f"{name}-{one['name']}" for one in several(pod, "volumes")}
    items = {
        str(item["key"]): str(item["path"])
        for volume in several(pod, "volumes")
        for item in several(volume, "secret", "items")
    }
    changed = {
        "volumes": [_volume(one, named[str(one["name"])]) for one in several(pod, "volumes")],
        "containers": [_container(one, name, named) for one in several(pod, "containers")],
    }
    template = {**mapping(deployment, "spec", "template"), "spec": {**pod, **changed}}
    spec = {**mapping(deployment, "spec"), "replicas": 1, "template": template}
    return NODE.validate_python({**deployment, "spec": spec}), items


def _volume(volume: Node, name: str) -> Node:
    if "secret" in volume:
        return {"name": name, "persistentVolumeClaim": {"claimName": name, "readOnly": True}}
    return {**volume, "name": name}


def _container(container: Node, name: str, named: dict[str, str]) -> Node:
    kept = {key: value for key, value in container.items() if key not in {*PROBES, "ports"}}
    env = [
        {"name": one["name"], "value": str(one["value"]).replace("$(POD_IP)", name)}
        if "value" in one
        else one
        for one in several(container, "env")
        if one["name"] != "POD_IP"
    ]
    mounts = [{**one, "name": named[str(one["name"])]} for one in several(container, "volumeMounts")]
    return NODE.validate_python({**kept, "env": env, "volumeMounts": mounts})


def main(folder: Path) -> None:
    """Write everything."""
    objects = rendered(K8S / "base")
    settings = list(of_kind(objects, "ConfigMap").values())
    claims = of_kind(objects, "PersistentVolumeClaim").values()
    (folder / "storage.yaml").write_text(yaml.safe_dump_all(claims), encoding="utf-8")
    for name, deployment in of_kind(objects, "Deployment").items():
        played, items = playable(deployment)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all([*settings, played]), encoding="utf-8")
        lines = (f"{key} {path}\n" for key, path in items.items())
        (folder / f"{name}.items").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
