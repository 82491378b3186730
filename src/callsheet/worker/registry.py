"""Finds the processors that installed packages offer."""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeGuard

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.v1.job_pb2 import ResourceCategory
from callsheet.v1.job_service_pb2 import JobType
from callsheet.worker.processor import Processor

#: The entry point group that packages register their processors in.
GROUP = "callsheet.processors"

AnyProcessor = Processor[Any]


def installed_processors(categories: Iterable[Category]) -> dict[str, AnyProcessor]:
    """Return one processor per job type of these categories.

    Raises:
        InvalidError: What an entry point names is no processor.
    """
    wanted = frozenset(categories)
    found: dict[str, AnyProcessor] = {}
    for entry in entry_points(group=GROUP):
        loaded: object = entry.load()
        if not _is_processor(loaded):
            message = f"the entry point {entry.name} of {GROUP} names {entry.value}, which is no Processor"
            raise InvalidError(message, field=entry.name)
        processor = loaded()
        if processor.job_type.category in wanted:
            found[processor.job_type.name] = processor
    return found


def offers(
    processors: Mapping[str, AnyProcessor], run_limits_s: Mapping[str, int] | None = None
) -> list[JobType]:
    """Return what a worker says in its hello of the types it handles, with its operator's run limits."""
    limits_s = run_limits_s or {}
    return [
        JobType(
            name=name,
            description=processor.job_type.description,
            category=ResourceCategory.ValueType(processor.job_type.category),
            vram_mib=processor.job_type.vram_mib,
            run_limit_s=limits_s.get(name, processor.job_type.run_limit_s),
            resumable=processor.job_type.resumable,
            learns_vram=processor.job_type.learns_vram,
            internal=processor.job_type.internal,
            params_schema_json=json.dumps(processor.job_type.params.schema_for_wire()),
        )
        for name, processor in sorted(processors.items())
    ]


def _is_processor(loaded: object) -> TypeGuard[type[AnyProcessor]]:
    return isinstance(loaded, type) and issubclass(loaded, Processor)
