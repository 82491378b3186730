"""Runs a mix under several policies, with the same jobs for each, and says what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from callsheet.cli.exits import ExitCode
from callsheet.cli.output import Output
from callsheet.cli.painters import painter_for
from callsheet.errors import InvalidError
from callsheet_scheduler.domain.patience import BackfillRules, Policy
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.simulate.arrivals import draw
from callsheet_scheduler.simulate.figures import Summary, Tally, summarize
from callsheet_scheduler.simulate.mix import Mix, Poisson, Recorded
from callsheet_scheduler.simulate.report import as_document, check_chart, show, write_chart
from callsheet_scheduler.simulate.run import Run, capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to know."""

    mix: Mix
    folder: Path
    """Recorded jobs lie below it."""
    policies: tuple[Policy, ...]
    load: float | None
    jobs: int | None
    seeds: tuple[int, ...]
    chart: Path | None


def study(wish: Wish, output: Output) -> ExitCode:
    """Run and report.

    Raises:
        InvalidError: The file, or what is wanted besides, says something that cannot be.
    """
    if wish.chart is not None:
        check_chart(wish.chart)
    mix = changed(wish.mix, load=wish.load, jobs=wish.jobs)
    with painter_for(output.aside) as painter:

        def progress(policy: Policy, seed: int) -> Callable[[int, int], None]:
            what = f"{policy.value}, seed {seed}"
            return lambda over, jobs: painter.show(what, over, jobs)

        summaries = simulate(mix, wish.policies, wish.seeds, wish.folder, progress)
    if output.as_json:
        for summary in summaries:
            output.document(as_document(mix, summary))
    else:
        show(mix, summaries, output.console)
    if wish.chart is not None:
        write_chart(mix, summaries, wish.chart)
    return ExitCode.OK


def simulate(
    mix: Mix,
    policies: tuple[Policy, ...],
    seeds: tuple[int, ...],
    folder: Path,
    progress: Callable[[Policy, int], Callable[[int, int], None]],
) -> list[Summary]:
    """Return what came of *mix* under each policy. Recorded jobs lie below *folder*."""
    tallies: dict[Policy, list[Tally]] = {policy: [] for policy in policies}
    jobs = 0
    for seed in seeds:
        arrivals = draw(mix, seed, folder)
        jobs += len(arrivals)
        for policy in policies:
            run = Run(mix, arrivals, rules_of(mix, policy), seed)
            tallies[policy].append(run.go(progress(policy, seed)))
    has = capacity(mix)
    return [summarize(policy.value, seeds, tallies[policy], has, jobs) for policy in policies]


def rules_of(mix: Mix, policy: Policy) -> Rules:
    """Return the scheduler's rules with another policy."""
    if mix.patience_s is None:
        return Rules(backfill=BackfillRules(policy=policy))
    return Rules(backfill=BackfillRules(policy=policy, patience_s=mix.patience_s))


def changed(mix: Mix, *, load: float | None, jobs: int | None) -> Mix:
    """Return *mix* with another load or other jobs.

    Raises:
        InvalidError: Its jobs come otherwise.
    """
    arrivals = mix.arrivals
    if load is not None:
        if not isinstance(arrivals, Poisson):
            raise InvalidError('needs arrivals with process = "poisson"', field="--load")
        arrivals = arrivals.model_copy(update={"load": load})
    if jobs is not None:
        if isinstance(arrivals, Recorded):
            raise InvalidError("recorded jobs are as many as the file has", field="--jobs")
        arrivals = arrivals.model_copy(update={"jobs": jobs})
    return mix.model_copy(update={"arrivals": arrivals})
