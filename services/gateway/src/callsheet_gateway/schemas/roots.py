"""Roots as REST has them."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from pydantic import Field, JsonValue

from callsheet.service.settings import AnyRootSettings, BucketSettings
from callsheet.v1.fleet_service_pb2 import Worker
from callsheet_gateway.schemas.shared import Camel

ROOT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "name": "library",
    "kind": "folder",
    "gateway": "read",
    "readers": ["atlas-cpu-1f6c"],
    "writers": [],
}


class RootView(Camel):
    """A named folder or bucket."""

    name: str
    kind: Literal["folder", "bucket"] | None = Field(description="null where this gateway does not reach it.")
    gateway: Literal["read", "write"] | None = Field(
        description="Whether this gateway reads it or also writes to it; null where it does not reach it. "
        "Originals are served and uploads are taken by what the gateway reaches."
    )
    readers: list[str] = Field(description="Connected workers that reach it.")
    writers: list[str] = Field(description="Those of them that may write to it.")


class RootList(Camel):
    """Every root that this gateway or a connected worker reaches."""

    data: list[RootView] = Field(description="By name.")


def roots_view(roots: Mapping[str, AnyRootSettings], workers: Iterable[Worker]) -> RootList:
    """Return the roots, *roots* being those of this gateway."""
    fleet = [worker for worker in workers if worker.connected]
    names = set(roots).union(*(worker.roots for worker in fleet))
    return RootList(data=[_root(name, roots, fleet) for name in sorted(names)])


def _root(name: str, roots: Mapping[str, AnyRootSettings], fleet: Iterable[Worker]) -> RootView:
    own = roots.get(name)
    return RootView(
        name=name,
        kind=None if own is None else "bucket" if isinstance(own, BucketSettings) else "folder",
        gateway=None if own is None else "write" if own.writable else "read",
        readers=[worker.id for worker in fleet if name in worker.roots],
        writers=[worker.id for worker in fleet if name in worker.writable_roots],
    )
