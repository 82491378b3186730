"""Shows what came of a simulation: tables and bars on a terminal, the same in a file, or JSON."""

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

from callsheet.cli.humane import duration_text
from callsheet.errors import InvalidError
from callsheet_scheduler.simulate.arrivals import work_per_job
from callsheet_scheduler.simulate.figures import Summary, Waits
from callsheet_scheduler.simulate.mix import Mix, Poisson

#: Characters of the longest bar, and of a file's lines.
BAR: Final = 24
FILE_WIDTH: Final = 130

#: The colours of the policies, in the order in which they are shown.
COLOURS: Final = ("bright_black", "yellow", "magenta", "cyan")

#: A file's picture: rich's own, with fonts of the machine that shows it instead of ones of the net.
SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" fill="#ffffff"/>
<g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def show(mix: Mix, summaries: Sequence[Summary], console: Console) -> None:
    """Write tables and bars to *console*."""
    if console.is_terminal:
        console.print(_report(mix, summaries))
        return
    with console.capture() as captured:
        console.print(_report(mix, summaries), width=FILE_WIDTH)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def check_chart(path: Path) -> None:
    """Refuse a name of a file that says nothing of its form.

    Raises:
        InvalidError: It does not end in ``.svg`` or ``.html``.
    """
    if path.suffix not in {".svg", ".html"}:
        raise InvalidError(f"{path} has to end in .svg or .html", field="--chart")


def write_chart(mix: Mix, summaries: Sequence[Summary], path: Path) -> None:
    """Write tables and bars to a file.

    Raises:
        InvalidError: It cannot be written.
    """
    console = Console(
        record=True, file=StringIO(), width=FILE_WIDTH, force_terminal=True, legacy_windows=False
    )
    console.print(_report(mix, summaries))
    if path.suffix == ".svg":
        text = console.export_svg(
            title="", theme=DEFAULT_TERMINAL_THEME, code_format=SVG, unique_id="callsheet"
        )
    else:
        text = console.export_html(theme=DEFAULT_TERMINAL_THEME, inline_styles=True)
    try:
        path.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), encoding="utf-8")
    except OSError as error:
        raise InvalidError(f"{path} cannot be written: {error.strerror}", field="--chart") from None


def _report(mix: Mix, summaries: Sequence[Summary]) -> RenderableType:
    return Group(_heading(mix, summaries), Text(), _waits(summaries), Text(), _use(summaries))


def _heading(mix: Mix, summaries: Sequence[Summary]) -> Text:
    hosts = sum(host.count for host in mix.hosts.values())
    gpus = sum(host.count * len(host.gpus) for host in mix.hosts.values())
    first = summaries[0]
    text = f"{hosts:,} host{'s' * (hosts != 1)}, {gpus:,} GPUs; {first.jobs // len(first.seeds):,} jobs"
    if isinstance(mix.arrivals, Poisson):
        text += f" at load {mix.arrivals.load:g} of the {work_per_job(mix)[1]}"
    seeds = (
        f"seed {first.seeds[0]}" if len(first.seeds) == 1 else f"seeds {first.seeds[0]} to {first.seeds[-1]}"
    )
    return Text(f"{text}; {seeds}", style="bold")


def _waits(summaries: Sequence[Summary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("JOBS", no_wrap=True)
    table.add_column("POLICY", no_wrap=True)
    for name in ("MEAN", "HALF", "95 %", "99 %", "LONGEST", "PASSED BY"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("99 % WAIT NO LONGER THAN", no_wrap=True)
    names = list(summaries[0].waits)
    longest_s = max((summary.waits[name].p99_s for summary in summaries for name in names), default=0.0)
    for name in names:
        for number, summary in enumerate(summaries):
            waits = summary.waits[name]
            colour = COLOURS[number % len(COLOURS)]
            table.add_row(
                Text(f"{name} ({waits.jobs:,})" if number == 0 else ""),
                Text(summary.policy, style=colour),
                *_figures(waits),
                Text("█" * round(BAR * waits.p99_s / longest_s) if longest_s else "", style=colour),
                end_section=summary is summaries[-1],
            )
        if len(summaries) > 1 and name != names[-1]:
            table.add_row()
    return table


def _figures(waits: Waits) -> list[str]:
    times = (waits.mean_s, waits.p50_s, waits.p95_s, waits.p99_s, waits.max_s)
    return [*(f"{time_s:,.0f} s" for time_s in times), f"{waits.passed_mean:.1f}"]


def _use(summaries: Sequence[Summary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for summary in summaries:
        table.add_column(Text(summary.policy.upper()), justify="right", no_wrap=True)
    for name, cells in _use_rows(summaries):
        table.add_row(Text(name), *cells)
    return table


def _use_rows(summaries: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    rows = [
        ("Completed", [f"{one.completed:,}" for one in summaries]),
        ("Failed", [f"{one.failed:,}" for one in summaries]),
        ("Fit nowhere", [f"{one.left:,}" for one in summaries]),
        ("Retries", [f"{one.retries:,}" for one in summaries]),
        ("From first to last", [duration_text(one.makespan_s) for one in summaries]),
        ("Jobs in an hour", [f"{one.per_hour:,.0f}" for one in summaries]),
    ]
    first = summaries[0]
    rows += [
        (f"Places taken, {name}", [f"{100 * one.busy[name]:.1f} %" for one in summaries])
        for name in first.busy
    ]
    rows += [
        (f"Memory charged, {name}", [f"{100 * one.charged[name]:.1f} %" for one in summaries])
        for name in first.charged
    ]
    return rows


def as_document(mix: Mix, summary: Summary) -> dict[str, JsonValue]:
    """Return what came of one policy, for programs."""
    waits: dict[str, JsonValue] = {
        name: {
            "jobs": one.jobs,
            "meanS": one.mean_s,
            "p50S": one.p50_s,
            "p95S": one.p95_s,
            "p99S": one.p99_s,
            "maxS": one.max_s,
            "passedMean": one.passed_mean,
            "passedMax": one.passed_max,
            "meanOfSeedsS": list(summary.mean_waits_s.get(name, ())),
        }
        for name, one in summary.waits.items()
    }
    load = mix.arrivals.load if isinstance(mix.arrivals, Poisson) else None
    return {
        "policy": summary.policy,
        "load": load,
        "seeds": list(summary.seeds),
        "jobs": summary.jobs,
        "completed": summary.completed,
        "failed": summary.failed,
        "fitNowhere": summary.left,
        "retries": summary.retries,
        "makespanS": summary.makespan_s,
        "jobsPerHour": summary.per_hour,
        "waits": waits,
        "placesTaken": dict(summary.busy),
        "memoryCharged": dict(summary.charged),
    }
