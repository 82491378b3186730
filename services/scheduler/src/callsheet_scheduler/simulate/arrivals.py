"""Which jobs come when, how long they run and what they need: drawn by chance from one seed, or recorded."""

import csv
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, exp, log
from pathlib import Path
from random import Random
from typing import Final

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet_scheduler.domain.ledger import LedgerRules
from callsheet_scheduler.simulate.mix import (
    JOBS_MAX,
    AtOnce,
    Choice,
    Figures,
    Lognormal,
    Mix,
    Poisson,
    Recorded,
    Sort,
)

#: Figures that are drawn to learn the mean of a distribution that is cut off.
MEAN_DRAWS: Final = 20_000

#: Kept free on every GPU.
MARGIN_MIB: Final = LedgerRules().margin_mib

#: The columns of a file of recorded jobs.
NEEDED: Final = ("at_s", "job")
OPTIONAL: Final = ("run_s", "vram_mb", "priority")


@dataclass(slots=True, kw_only=True)
class Arrivals:
    """The jobs in the order in which they come; every column has one figure for each."""

    names: tuple[str, ...]
    """The kinds of jobs; ``sort`` counts in them."""
    at_s: "array[float]" = field(default_factory=lambda: array("d"))
    sort: "array[int]" = field(default_factory=lambda: array("B"))
    run_s: "array[float]" = field(default_factory=lambda: array("d"))
    vram_mib: "array[int]" = field(default_factory=lambda: array("i"))
    priority: "array[int]" = field(default_factory=lambda: array("B"))

    def __len__(self) -> int:
        return len(self.at_s)

    def add(self, at_s: float, sort: int, run_s: float, vram_mib: int, priority: int) -> None:
        """Add the next job."""
        self.at_s.append(at_s)
        self.sort.append(sort)
        self.run_s.append(run_s)
        self.vram_mib.append(vram_mib)
        self.priority.append(priority)


def draw(mix: Mix, seed: int, folder: Path) -> Arrivals:
    """Return the jobs of *mix*; the same for the same seed. Recorded ones lie below *folder*.

    Raises:
        InvalidError: The recorded jobs cannot be read; the line and the column are named.
    """
    chance = Random(seed)  # noqa: S311 -- a seed shall give the same jobs again; nothing is secret
    match mix.arrivals:
        case Poisson(load=load, jobs=jobs):
            rate = load / work_per_job(mix)[0]
            return _drawn(mix, _independent(rate, jobs, chance), chance)
        case AtOnce(jobs=jobs):
            return _drawn(mix, iter([0.0] * jobs), chance)
        case Recorded(file=file):
            return _recorded(mix, folder / file, chance)


def _independent(rate: float, jobs: int, chance: Random) -> Iterator[float]:
    at_s = 0.0
    for _ in range(jobs):
        at_s += chance.expovariate(rate)
        yield at_s


def _drawn(mix: Mix, instants: Iterator[float], chance: Random) -> Arrivals:
    arrivals = Arrivals(names=tuple(mix.jobs))
    sorts = list(mix.jobs.values())
    numbers, until = range(len(sorts)), _summed([sort.share for sort in sorts])
    for at_s in instants:
        (number,) = chance.choices(numbers, cum_weights=until)
        sort = sorts[number]
        run_s = figure(sort.run_s, chance)
        vram_mib = 0 if sort.vram_mb is None else ceil(figure(sort.vram_mb, chance))
        arrivals.add(at_s, number, run_s, vram_mib, sort.priority)
    return arrivals


def _summed(weights: list[float]) -> list[float]:
    return [sum(weights[: number + 1]) for number in range(len(weights))]


def figure(figures: Figures, chance: Random) -> float:
    """Draw a figure."""
    match figures:
        case Lognormal(median=median, sigma=sigma, most=most):
            return min(most, chance.lognormvariate(log(median), sigma))
        case Choice(choice=choice, weights=weights):
            return chance.choices(choice, weights)[0]
        case _:
            return figures


def mean(figures: Figures) -> float:
    """Return the mean of what is drawn."""
    match figures:
        case Lognormal(median=median, sigma=sigma, most=most) if (
            most == Lognormal.model_fields["most"].default
        ):
            return median * exp(sigma**2 / 2)
        case Lognormal():
            chance = Random(0)  # noqa: S311 -- the mean of a mix is always the same
            return sum(figure(figures, chance) for _ in range(MEAN_DRAWS)) / MEAN_DRAWS
        case Choice(choice=choice, weights=weights):
            shares = weights or [1.0] * len(choice)
            return sum(one * share for one, share in zip(choice, shares, strict=True)) / sum(shares)
        case _:
            return figures


def work_per_job(mix: Mix) -> tuple[float, str]:
    """Return how long the fleet has to work for one job on average, in seconds, and what is scarcest.

    That is places of a category, or the memory of all GPUs.
    """
    offered: dict[str, float] = {}
    shares = sum(sort.share for sort in mix.jobs.values())
    for sort in mix.jobs.values():
        run_s = mean(sort.run_s) / (1 - sort.fails) * sort.share / shares
        places = sum(host.count * mix.places(host, sort.resource) for host in mix.hosts.values())
        name = f"places for {sort.category} jobs"
        offered[name] = offered.get(name, 0.0) + run_s / places
        if sort.vram_mb is not None:
            memory_mib = sum(
                host.count * (card.memory_mb - MARGIN_MIB)
                for host in mix.hosts.values()
                for card in host.gpus
            )
            name = "memory of the GPUs"
            offered[name] = offered.get(name, 0.0) + run_s * mean(sort.vram_mb) / memory_mib
    scarcest = max(offered, key=lambda name: offered[name])
    return offered[scarcest], scarcest


def _recorded(mix: Mix, path: Path, chance: Random) -> Arrivals:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
            if missing:
                raise InvalidError(
                    f"{path} has no column {missing[0]}: its first line names the columns "
                    f"{', '.join(NEEDED)} and perhaps {', '.join(OPTIONAL)}",
                    field="arrivals.file",
                )
            return _in_order(mix, [_job(mix, row, f"{path}:{rows.line_num}", chance) for row in _some(rows)])
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", field="arrivals.file") from None
    except (UnicodeError, csv.Error) as error:
        raise InvalidError(f"{path} is not CSV in UTF-8: {error}", field="arrivals.file") from None


def _some(rows: "csv.DictReader[str]") -> Iterator[Mapping[str, str | None]]:
    for number, row in enumerate(rows):
        if number == JOBS_MAX:
            raise InvalidError(
                f"there are more than {JOBS_MAX:,} jobs: leave some out", field="arrivals.file"
            )
        yield row


Job = tuple[float, int, float, int, int]
"""When it comes, which kind, how long it runs, what it needs, how urgent it is."""


def _job(mix: Mix, row: Mapping[str, str | None], line: str, chance: Random) -> Job:
    name = row["job"] or ""
    sort = mix.jobs.get(name)
    if sort is None:
        raise InvalidError(f"{line}: there is no [jobs.{name}] in the mix: add it", field="arrivals.file")
    run_s, vram_mb = _number(row, "run_s", line), _number(row, "vram_mb", line)
    priority = int(_number(row, "priority", line, least=1, most=10) or sort.priority)
    return (
        _number(row, "at_s", line) or 0.0,
        list(mix.jobs).index(name),
        figure(sort.run_s, chance) if run_s is None else run_s,
        _need(sort, vram_mb, chance),
        priority,
    )


def _need(sort: Sort, vram_mb: float | None, chance: Random) -> int:
    if sort.resource is Category.CPU or sort.vram_mb is None:
        return 0
    return ceil(figure(sort.vram_mb, chance) if vram_mb is None else vram_mb)


def _number(
    row: Mapping[str, str | None], name: str, line: str, *, least: float = 0.0, most: float = 1e9
) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise InvalidError(
            f"{line}: {name} must be a number from {least:g} to {most:g}, not {text!r}", field="arrivals.file"
        )
    return number


def _in_order(mix: Mix, jobs: list[Job]) -> Arrivals:
    if not jobs:
        raise InvalidError("there are no jobs in it", field="arrivals.file")
    arrivals = Arrivals(names=tuple(mix.jobs))
    began_at = min(job[0] for job in jobs)
    for at_s, sort, run_s, vram_mib, priority in sorted(jobs, key=lambda job: job[0]):
        arrivals.add(at_s - began_at, sort, run_s, vram_mib, priority)
    return arrivals
