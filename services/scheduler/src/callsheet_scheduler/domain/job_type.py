"""A kind of work as it was declared."""

from dataclasses import dataclass

from callsheet.catalog import Category


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownType:
    """One kind of work."""

    name: str
    description: str
    category: Category
    vram_mib: int
    run_limit_s: int
    params_schema: str
    """JSON Schema, 2020-12."""
    resumable: bool = False
    """Its attempts can be paused: they keep a checkpoint from which a later one goes on."""
    learns_vram: bool = False
    """A new job is charged with what jobs of its size turned out to need, once enough have run."""
