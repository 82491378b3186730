"""What is simulated, as a file describes it: which jobs come when, and the fleet that they come to."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.rules import DEFAULT_HOST_LIMITS

#: Jobs, hosts, kinds of jobs and bytes of a file at most.
JOBS_MAX: Final = 10_000_000
HOSTS_MAX: Final = 100_000
SORTS_MAX: Final = 255
FILE_BYTES_MAX: Final = 1024 * 1024

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Slots = Annotated[int, Field(ge=0, le=10_000)]
Positive = Annotated[float, Field(gt=0, le=1e9)]


class Part(BaseModel):
    """A part of the file. What it does not know is refused: a misspelt name is no silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lognormal(Part):
    """Figures with a long tail: half of them are below *median*."""

    median: Positive
    sigma: Annotated[float, Field(ge=0, le=5)]
    """Of the logarithm; 0.5 is a moderate spread, 1 a wide one."""
    most: Positive = 1e9
    """Larger figures are taken for this one."""


class Choice(Part):
    """One of some figures."""

    choice: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=1_000)]
    weights: Annotated[tuple[Positive, ...], Field(max_length=1_000)] | None = None
    """How often each comes; without it all come as often."""

    @model_validator(mode="after")
    def _every_figure_has_a_weight(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.choice):
            raise ValueError(f"needs as many weights as figures, {len(self.choice)}")
        return self


def _form_of(value: object) -> str:
    if isinstance(value, Mapping):
        return "choice" if "choice" in value else "lognormal"
    if isinstance(value, Lognormal | Choice):
        return type(value).__name__.lower()
    return "fixed"


Figures = Annotated[
    Annotated[Positive, Tag("fixed")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Choice, Tag("choice")],
    Discriminator(_form_of),
]
"""A number, or how numbers are spread."""


class Card(Part):
    """A GPU of a host."""

    memory_mb: Annotated[int, Field(ge=1_024, le=1_048_576)]
    encoder_sessions: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many it allows at once; without it any number."""


class Limits(Part):
    """How many jobs of a category one host runs at once; left out, these are the scheduler's own limits."""

    cpu: Slots = DEFAULT_HOST_LIMITS[SCOPE_OF[Category.CPU]]
    gpu_encode: Slots = DEFAULT_HOST_LIMITS[SCOPE_OF[Category.GPU_ENCODE]]
    gpu_ai: Slots = DEFAULT_HOST_LIMITS[SCOPE_OF[Category.GPU_AI]]

    def of(self, category: Category) -> int:
        """Return the limit of *category*."""
        return {
            Category.CPU: self.cpu,
            Category.GPU_ENCODE: self.gpu_encode,
            Category.GPU_AI: self.gpu_ai,
        }[category]


class Host(Part):
    """Some hosts that are alike."""

    count: Annotated[int, Field(ge=1, le=HOSTS_MAX)] = 1
    gpus: Annotated[tuple[Card, ...], Field(max_length=16)] = ()
    cpu_slots: Slots | None = None
    """Of its CPU worker; without it as many as the limit allows, 0 for no such worker."""
    gpu_slots: Slots | None = None
    """Of its GPU worker, which it has if it has GPUs; without it as many as the limits allow."""


class Sort(Part):
    """Jobs of one kind."""

    category: Literal["cpu", "gpu_encode", "gpu_ai"]
    run_s: Figures
    """How long an attempt runs, in seconds."""
    vram_mb: Figures | None = None
    """What it is charged with of a GPU, in MB, rounded up to a whole number."""
    share: Positive = 1.0
    """How many come, beside those of the other kinds; without meaning where jobs are recorded."""
    priority: Annotated[int, Field(ge=1, le=10)] = 5
    fails: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of attempts that fail and go again, as any job does."""
    type: Name | None = None
    """The job type that it counts as where the scheduler learns; without it the name of the kind."""
    size_class: Annotated[int, Field(ge=0, le=64)] | None = None
    """The size class that it counts as where the scheduler learns."""

    @model_validator(mode="after")
    def _memory_is_for_gpu_jobs(self) -> Self:
        if (self.category == "cpu") != (self.vram_mb is None):
            raise ValueError("a GPU job needs vram_mb, and a CPU job must not have it")
        return self

    @property
    def resource(self) -> Category:
        """The category as the engine has it."""
        return Category[self.category.upper()]


class Poisson(Part):
    """Jobs come independently of one another, as many as make a wished load."""

    process: Literal["poisson"]
    load: Annotated[float, Field(gt=0, le=10)]
    """Of what is scarcest: work that comes in a second, divided by what the fleet does in a second."""
    jobs: Annotated[int, Field(ge=1, le=JOBS_MAX)]


class AtOnce(Part):
    """All jobs are there at the beginning."""

    process: Literal["at_once"]
    jobs: Annotated[int, Field(ge=1, le=JOBS_MAX)]


class Recorded(Part):
    """Jobs come as a CSV file says: ``at_s,job`` and perhaps ``run_s``, ``vram_mb`` and ``priority``."""

    process: Literal["recorded"]
    file: Annotated[str, Field(min_length=1)]
    """Its path; relative to this file."""


Arrivals = Annotated[Poisson | AtOnce | Recorded, Field(discriminator="process")]


class Mix(Part):
    """All of it."""

    arrivals: Arrivals
    hosts: Annotated[dict[Name, Host], Field(min_length=1, max_length=1_000)]
    jobs: Annotated[dict[Name, Sort], Field(min_length=1, max_length=SORTS_MAX)]
    limits: Limits = Limits()
    patience_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """How long a job is passed before a GPU is kept for it; without it as the scheduler has it."""

    def slots(self, host: Host, *, gpu: bool) -> int:
        """Return how many jobs the CPU or GPU worker of *host* runs at once."""
        if not gpu:
            return self.limits.cpu if host.cpu_slots is None else host.cpu_slots
        most = self.limits.gpu_encode + self.limits.gpu_ai if host.gpu_slots is None else host.gpu_slots
        return most if host.gpus else 0

    def places(self, host: Host, category: Category) -> int:
        """Return how many jobs of *category* run on *host* at once."""
        return min(self.limits.of(category), self.slots(host, gpu=category is not Category.CPU))

    @model_validator(mode="after")
    def _hosts_have_a_limit(self) -> Self:
        if sum(host.count for host in self.hosts.values()) > HOSTS_MAX:
            raise ValueError(f"must not have more than {HOSTS_MAX:,} hosts")
        return self

    @model_validator(mode="after")
    def _every_kind_has_a_place(self) -> Self:
        for name, sort in self.jobs.items():
            if not any(self.places(host, sort.resource) for host in self.hosts.values()):
                raise ValueError(
                    f"jobs.{name} has the category {sort.category}, for which no host has a place: "
                    f"add a host{'' if sort.category == 'cpu' else ' with gpus'}, or leave the jobs out"
                )
        return self


def read_mix(path: Path) -> Mix:
    """Return what the file at *path* describes.

    Raises:
        InvalidError: It cannot be read, or says something that cannot be; the field is named.
    """
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", field="FILE") from None
    if len(text) > FILE_BYTES_MAX:
        raise InvalidError(f"{path} is larger than {FILE_BYTES_MAX:,} bytes", field="FILE")
    try:
        return parse_mix(text.decode("utf-8"))
    except UnicodeError:
        raise InvalidError(f"{path} is not UTF-8 text", field="FILE") from None


def parse_mix(text: str) -> Mix:
    """Return what *text*, TOML, describes.

    Raises:
        InvalidError: As for ``read_mix``.
    """
    try:
        return Mix.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"this is not TOML: {error}", field="FILE") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidError(_remedy(first["msg"]), field=_field(first["loc"])) from None


def _field(place: tuple[int | str, ...]) -> str:
    """Return where a fault lies, as the file has it; the forms of a value have no names there."""
    forms = {"fixed", "lognormal", "choice", "poisson", "at_once", "recorded"}
    words = [
        word
        for number, word in enumerate(place)
        if not (word in forms and number and place[number - 1] in {"run_s", "vram_mb", "arrivals"})
    ]
    text = "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in words)
    return text.removeprefix(".") or "FILE"


def _remedy(message: str) -> str:
    """Return what pydantic says, as a sentence of ours."""
    known = {
        "Extra inputs are not permitted": "is not known here: leave it out, or correct its name; "
        "`callsheet simulate --example` shows what there is",
        "Field required": "is missing",
    }
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return known.get(message, text)
