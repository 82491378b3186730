"""Describes the fleet, the job types and the learned figures of a running scheduler as a mix."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from callsheet.catalog import Category
from callsheet.cli.commands import PATIENCE
from callsheet.cli.connection import Connection
from callsheet.errors import ConflictError, InvalidError
from callsheet.v1.fleet_service_pb2 import DeviceAccount, ListWorkersResponse, Worker
from callsheet.v1.job_service_pb2 import JobType, LearnedNeeds
from callsheet_scheduler.simulate.mix import Card, Choice, Figures, Host, Limits, Mix, Poisson, Sort, read_mix

LOAD: Final = 0.95
JOBS: Final = 2_000

#: The least memory of a GPU that a mix can have, in MB, and the least run time, in seconds.
CARD_MB_MIN: Final = 1_024
RUN_S_MIN: Final = 0.001

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a running scheduler says."""

    types: Sequence[JobType]
    fleet: ListWorkersResponse
    devices: Sequence[DeviceAccount]


def wanted_mix(file: Path | None, connection: Connection | None) -> Mix:
    """Return what a file describes, with what a running scheduler has learned; without a file, what that has.

    Raises:
        InvalidError: Neither is named, or the file cannot be read.
        ConflictError: There is no worker, or nothing is learned of what the workers handle.
    """
    mix = None if file is None else read_mix(file)
    if connection is None:
        if mix is None:
            raise InvalidError("name a file, or print one by --example", field="FILE")
        return mix
    own = asyncio.run(_asked(connection))
    return own_mix(own) if mix is None else with_learned(mix, own)


async def _asked(connection: Connection) -> Own:
    async with connection.client(PATIENCE) as client:
        return Own(
            types=await client.job_types(internal=True, runs=True),
            fleet=await client.fleet(),
            devices=await client.devices(),
        )


def own_mix(own: Own) -> Mix:
    """Return the jobs that the scheduler has learned of, on the fleet that it has.

    Each size class is a kind of its own; it comes as often beside the others as it has run.

    Raises:
        ConflictError: There is no worker, or nothing is learned of what the workers handle.
    """
    gpu_types = {one.name for one in own.types if not _on_cpu(one)}
    hosts = {name: host for name, host in _hosts(own, gpu_types) if host.cpu_slots or host.gpu_slots}
    has_gpus = any(host.gpus for host in hosts.values())
    handled = {name for worker in own.fleet.workers for name in worker.types}
    sorts = {
        name: sort
        for one in own.types
        if one.name in handled and (has_gpus or _on_cpu(one))
        for name, sort in _sorts(one)
    }
    if not sorts:
        raise ConflictError(
            "no worker is connected, or none has completed a job of a type that it handles: "
            "let some jobs run, or describe them in a FILE"
        )
    limits = {Category(one.category).name.lower(): one.limit for one in own.fleet.limits}
    return Mix(
        arrivals=Poisson(process="poisson", load=LOAD, jobs=JOBS),
        limits=Limits.model_validate(limits),
        hosts=hosts,
        jobs=sorts,
    )


def with_learned(mix: Mix, own: Own) -> Mix:
    """Return *mix* with the learned run times, and the memory in force, of the kinds that are known."""
    learned = {
        (one.name, known.size_class if known.HasField("size_class") else None): (one, known)
        for one in own.types
        for known in one.learned
        if known.run_s
    }
    jobs: dict[str, Sort] = {}
    for name, sort in mix.jobs.items():
        found = learned.get((sort.type or name, sort.size_class))
        jobs[name] = sort if found is None else _learned_sort(sort, *found)
    return mix.model_copy(update={"jobs": jobs})


def _learned_sort(sort: Sort, one: JobType, known: LearnedNeeds) -> Sort:
    changes: dict[str, object] = {"run_s": _figures(known.run_s)}
    if sort.vram_mb is not None and not _on_cpu(one):
        changes["vram_mb"] = float(max(1, known.charge.vram_mib))
    return sort.model_copy(update=changes)


def _hosts(own: Own, gpu_types: set[str]) -> Iterator[tuple[str, Host]]:
    by_host: dict[str, list[Worker]] = {}
    for worker in own.fleet.workers:
        if worker.connected:
            by_host.setdefault(worker.host, []).append(worker)
    for name, workers in sorted(by_host.items()):
        cards = [one for one in own.devices if one.host == name and one.capacity_mib >= CARD_MB_MIN]
        on_gpu = [bool(gpu_types.intersection(worker.types)) for worker in workers]
        slots = {
            gpu: sum(worker.slots for worker, on in zip(workers, on_gpu, strict=True) if on is gpu)
            for gpu in (False, True)
        }
        yield (
            _STRANGE.sub("-", name).strip("-._") or "host",
            Host(
                gpus=tuple(_card(one) for one in cards),
                cpu_slots=slots[False],
                gpu_slots=slots[True] if cards else 0,
            ),
        )


def _card(one: DeviceAccount) -> Card:
    return Card(memory_mb=one.capacity_mib, encoder_sessions=one.device.encoder_sessions_max or None)


def _sorts(one: JobType) -> Iterator[tuple[str, Sort]]:
    """Yield the kinds of jobs of a type: one of each size class, and one of what has none."""
    known = [learned for learned in one.learned if learned.run_s and learned.runs]
    sized = sum(learned.runs for learned in known if learned.HasField("size_class"))
    for learned in known:
        size = learned.size_class if learned.HasField("size_class") else None
        share = learned.runs if size is not None else learned.runs - sized
        if share > 0:
            yield (
                one.name if size is None else f"{one.name}.{size}",
                Sort(
                    category=_category(one),
                    run_s=_figures(learned.run_s),
                    vram_mb=None if _on_cpu(one) else float(max(1, learned.charge.vram_mib)),
                    share=share,
                    type=None if size is None else one.name,
                    size_class=size,
                ),
            )


def _figures(run_s: Sequence[float]) -> Figures:
    return Choice(choice=tuple(max(RUN_S_MIN, round(one, 3)) for one in run_s))


def _category(one: JobType) -> Literal["cpu", "gpu_encode", "gpu_ai"]:
    match Category(one.category):
        case Category.CPU:
            return "cpu"
        case Category.GPU_ENCODE:
            return "gpu_encode"
        case Category.GPU_AI:
            return "gpu_ai"


def _on_cpu(one: JobType) -> bool:
    return Category(one.category) is Category.CPU


def as_toml(mix: Mix) -> str:
    """Return *mix* as a file that describes it."""
    document = mix.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    lines = ["# The fleet and the learned figures of a running scheduler. Run it: callsheet simulate FILE"]
    for part in ("arrivals", "limits"):
        if part in document:
            lines += ["", f"[{part}]", *_lines(document[part])]
    for part in ("hosts", "jobs"):
        for name, fields in document[part].items():
            lines += ["", f"[{part}.{_value(name)}]", *_lines(fields)]
    return "\n".join([*lines, ""])


def _lines(fields: Mapping[str, object]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in fields.items()]


def _value(value: object) -> str:
    """Return a value as TOML has it; names and words of a mix hold nothing that has to be escaped."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return "{ " + ", ".join(f"{name} = {_value(one)}" for name, one in fields.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in cast("list[object]", value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
