"""Says which processes a Callsheet on one machine is made of, and what each of them is told."""

import json
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from callsheet_scheduler.local.data_folder import DataFolder
from callsheet_scheduler.local.errors import StartError

DRAIN_GRACE_S: Final = 5
"""How long running jobs may go on when Callsheet is told to stop; they run again at the next start."""

Root = dict[str, JsonValue]
"""The settings of a root, as its service reads them."""
_ROOTS: Final = TypeAdapter(dict[str, Root])
_OURS: Final = ("CALLSHEET_LISTEN", "CALLSHEET_PORT_FILE", "CALLSHEET_DATABASE_URL", "DATABASE_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process."""

    name: str
    """For people and for its log file."""
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    stop_limit_s: float
    """How long it may take to end when asked; then it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a start has found out, and all processes are told of."""

    data: DataFolder
    media: Path
    dsn: str
    scheduler_port: int
    gateway_port: int
    surroundings: Mapping[str, str]
    """The environment of the command itself."""
    metrics_ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """By the name of the service; the others take free ones."""

    @property
    def scheduler(self) -> str:
        """The address of gRPC."""
        return f"127.0.0.1:{self.scheduler_port}"

    @property
    def gateway(self) -> str:
        """The address of REST."""
        return f"http://127.0.0.1:{self.gateway_port}"

    def roots(self) -> dict[str, Root]:
        """Return the settings of the named roots: ours, of which the first is read only and with the last
        holds originals, and those that CALLSHEET_ROOTS names beside them or in their place.

        Raises:
            StartError: CALLSHEET_ROOTS is no JSON object.
        """
        ours: dict[str, Root] = {
            "library": {"path": str(self.media)},
            "derivatives": {"path": str(self.data.derivatives), "writable": True},
            "outputs": {"path": str(self.data.outputs), "writable": True},
            "uploads": {"path": str(self.data.uploads), "writable": True},
        }
        try:
            further = _ROOTS.validate_json(self.surroundings.get("CALLSHEET_ROOTS", "{}"))
        except ValidationError as error:
            raise StartError(
                "CALLSHEET_ROOTS is no JSON object of roots; docs/guides/storage.md has one"
            ) from error
        return ours | further

    def connection(self) -> str:
        """Return what other commands need to find this one, as JSON."""
        known = {
            "scheduler": self.scheduler,
            "gateway": self.gateway,
            "join_token_file": str(self.data.join_token),
            "roots": {name: one["path"] for name, one in self.roots().items() if "path" in one},
        }
        return json.dumps(known, indent=2) + "\n"


def start_order(site: Site) -> tuple[tuple[Service, ...], ...]:
    """Return the processes in the order in which they start; those of one group end together."""
    return ((_scheduler(site),), (_worker(site, "cpu"), _worker(site, "gpu")), (_gateway(site),))


def _scheduler(site: Site) -> Service:
    own = {"CALLSHEET_DATABASE_URL": site.dsn, "CALLSHEET_LISTEN": site.scheduler}
    return _service(site, "scheduler", "callsheet_scheduler.main", own, stop_limit_s=10)


def _worker(site: Site, kind: str) -> Service:
    own = {
        "CALLSHEET_SCHEDULER": site.scheduler,
        "CALLSHEET_ROOTS": json.dumps(site.roots()),
        "CALLSHEET_SPOOL": str(site.data.spool / kind),
        "CALLSHEET_MODEL_DIR": site.surroundings.get("CALLSHEET_MODEL_DIR", str(site.data.models)),
        "CALLSHEET_SCRATCH": str(site.data.scratch),
        "CALLSHEET_DRAIN_GRACE_S": str(DRAIN_GRACE_S),
    }
    if kind == "gpu":
        own["CALLSHEET_SOFTWARE_GPU"] = site.surroundings.get("CALLSHEET_SOFTWARE_GPU", "true")
        own["CALLSHEET_CHILDREN"] = "2"
    else:
        watched = ["library"] if "path" in site.roots()["library"] else []
        own["CALLSHEET_WATCH"] = site.surroundings.get("CALLSHEET_WATCH", json.dumps(watched))
    return _service(
        site, f"{kind}-worker", f"callsheet_{kind}_worker.main", own, stop_limit_s=DRAIN_GRACE_S * 2
    )


def _gateway(site: Site) -> Service:
    own = {
        "CALLSHEET_SCHEDULER": site.scheduler,
        "CALLSHEET_LISTEN": f"127.0.0.1:{site.gateway_port}",
        "CALLSHEET_ADMIN_TOKEN_FILE": str(site.data.admin_token),
        "CALLSHEET_ROOTS": json.dumps(site.roots()),
    }
    shown = site.surroundings.get("ASYNC_THUMBNAILS")
    if shown is not None and "CALLSHEET_ASYNC_THUMBNAILS" not in site.surroundings:
        own["CALLSHEET_ASYNC_THUMBNAILS"] = shown
    return _service(site, "gateway", "callsheet_gateway.main", own, stop_limit_s=5)


def _service(site: Site, name: str, module: str, own: Mapping[str, str], *, stop_limit_s: float) -> Service:
    shared = {
        "CALLSHEET_JOIN_TOKEN_FILE": str(site.data.join_token),
        "CALLSHEET_OPS_PORT": str(site.metrics_ports.get(name, 0)),
        "CALLSHEET_HOST": re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:128] or "localhost",
        "PYTHONUNBUFFERED": "1",
    }
    kept = {key: value for key, value in site.surroundings.items() if key not in _OURS}
    return Service(
        name=name,
        arguments=(sys.executable, "-m", module),
        environment={**kept, **shared, **own},
        stop_limit_s=stop_limit_s,
    )
