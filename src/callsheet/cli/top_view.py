"""Draws ``callsheet top``: what is seen, in as many lines and columns as there are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from callsheet.cli.choices import job_state_text
from callsheet.cli.gpus import bar
from callsheet.cli.humane import duration_text
from callsheet.cli.instants import instant, seconds_between
from callsheet.cli.output import state_cell
from callsheet.cli.top_reading import CATEGORIES, Seen
from callsheet.service.plain import plain_line
from callsheet.v1.fleet_service_pb2 import DeviceAccount, DeviceState, Worker
from callsheet.v1.job_pb2 import Job

#: Lines and columns of one look that is not a screen.
UNBOUNDED_LINES: Final = 10_000
ONCE_WIDTH: Final = 160

#: Characters of a bar of progress.
PROGRESS: Final = 16

#: A part has its name, the heads of its columns and one row, or it is left out.
PART_LINES_MIN: Final = 2

#: Rates below this are told by the minute.
SLOW: Final = 1.0

KEYS: Final = "q quit   p hold   s sort"


class Order(Enum):
    """In which order workers stand."""

    NAME = "name"
    BUSY = "busiest first"
    LOAD = "highest load first"

    def after(self) -> "Order":
        """Return the next one."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How somebody looks at it."""

    now: datetime
    address: str
    order: Order = Order.NAME
    held: bool = False
    away: str = ""
    """Why nothing newer is known; empty while a scheduler answers."""
    keys: bool = True
    """Keys are heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table of the screen."""

    columns: tuple[str, ...]
    """A name that ends in ``>`` is set to the right."""
    rows: Sequence[tuple[str | Text, ...]]
    more: str
    """What rows that have no room are called."""

    @property
    def lines(self) -> int:
        """How many it would like to have."""
        return 1 + len(self.rows) if self.rows else 0


def compose(seen: Seen, look: Look, *, lines: int) -> RenderableType:
    """Return the whole picture in at most *lines*."""
    parts = [_lanes(seen, look), _cards(seen), _workers(seen, look), _failures(seen, look), _jobs(seen, look)]
    shares = share(lines - 2, [part.lines for part in parts])
    shown = [_table(part, given) for part, given in zip(parts, shares, strict=True) if given]
    return Group(_head(seen, look), *shown, _foot(look))


def share(lines: int, wanted: Sequence[int]) -> list[int]:
    """Return how many of *lines* each part gets: what it wants, or less from the last part on."""
    given = [0] * len(wanted)
    for number, want in enumerate(wanted):
        least = min(want, PART_LINES_MIN if number else want)
        if least <= lines:
            given[number] = least
            lines -= least
    while lines and any(some and some < want for some, want in zip(given, wanted, strict=True)):
        for number, want in enumerate(wanted):
            if lines and given[number] and given[number] < want:
                given[number] += 1
                lines -= 1
    return given


def _table(part: Part, lines: int) -> Table:
    """Return the rows that fit; where some do not, the last line says how many."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for number, name in enumerate(part.columns):
        table.add_column(
            name.removesuffix(">"),
            justify="right" if name.endswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis" if number == 0 or number == len(part.columns) - 1 else "crop",
        )
    room = lines - 1
    rows = part.rows if len(part.rows) <= room else part.rows[: max(0, room - 1)]
    for row in rows:
        table.add_row(*(Text(plain_line(cell)) if isinstance(cell, str) else cell for cell in row))
    if len(rows) < len(part.rows) and room > 0:
        table.add_row(Text(f"and {len(part.rows) - len(rows):,} more {part.more}", style="bright_black"))
    return table


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _head(seen: Seen, look: Look) -> Text:
    text = Text(f"callsheet top  {look.address}  {look.now:%H:%M:%S} UTC", style="bold")
    if look.away:
        return _line(text.append(f"  {plain_line(look.away)}", style="red"))
    if look.held:
        text.append("  held", style="yellow")
    everything = seen.queues.get("all")
    if everything is not None and everything.paused:
        text.append(f"  everything is paused by {plain_line(everything.paused_by)}", style="magenta")
    return _line(text.append(f"  {seen.completed_last_hour:,} completed in the last hour"))


def _foot(look: Look) -> Text:
    return _line(Text(f"{KEYS} ({look.order.value})" if look.keys else "Ctrl-C quits", style="bright_black"))


def _lanes(seen: Seen, look: Look) -> Part:
    rows: list[tuple[str | Text, ...]] = []
    for name in CATEGORIES:
        queue = seen.queues.get(name)
        if queue is not None:
            oldest_at = seen.oldest.get(name)
            note = state_cell("paused").append(f" by {plain_line(queue.paused_by)}") if queue.paused else ""
            rows.append(
                (
                    name,
                    f"{queue.pending:,}",
                    f"{queue.queued:,}",
                    f"{queue.running:,}",
                    rate_text(seen.rates.get(name, 0.0)),
                    "" if oldest_at is None else duration_text((look.now - oldest_at).total_seconds()),
                    note,
                )
            )
    columns = ("LANE", "WAIT>", "GRANTED>", "RUN>", "RATE>", "OLDEST WAIT>", "NOTE")
    return Part(columns=columns, rows=rows, more="lanes")


def rate_text(per_second: float) -> str:
    """Return a rate as people read it: by the second, or by the minute where it is low."""
    if not per_second:
        return ""
    return f"{per_second:,.1f}/s" if per_second >= SLOW else f"{60 * per_second:.0f}/min"


def _cards(seen: Seen) -> Part:
    columns = ("GPU", "MEMORY", "FREE>", "OF>", "BUSY>", "JOBS>", "STATE")
    return Part(columns=columns, rows=[_card(account) for account in seen.devices], more="GPUs")


def _card(account: DeviceAccount) -> tuple[str | Text, ...]:
    busy = f"{account.utilization_percent} %" if account.HasField("read_at") else ""
    state = state_cell(DeviceState.Name(account.state).removeprefix("DEVICE_STATE_").lower())
    if account.problem:
        state.append(f" {plain_line(account.problem)}")
    return (
        f"{account.host} {account.device.index}",
        bar(account),
        f"{account.free_mib:,}",
        f"{account.capacity_mib:,}",
        busy,
        str(len(account.allocations)),
        state,
    )


def _workers(seen: Seen, look: Look) -> Part:
    held: dict[str, list[Job]] = defaultdict(list)
    for job in seen.running:
        held[job.worker_id].append(job)
    rows: list[tuple[str | Text, ...]] = []
    for worker in sorted(seen.workers, key=lambda one: _standing(one, look.order)):
        rows.append(
            (worker.id, _state(worker), f"{worker.leases} of {worker.slots}", f"{worker.load:.2f}", "")
        )
        rows += [_held(job, look.now) for job in held[worker.id]]
    columns = ("WORKER", "STATE", "BUSY>", "LOAD>", "PROGRESS")
    return Part(columns=columns, rows=rows, more="workers and their jobs")


def _standing(worker: Worker, order: Order) -> tuple[float, str]:
    figure = {Order.NAME: 0.0, Order.BUSY: -float(worker.leases), Order.LOAD: -worker.load}
    return figure[order], worker.id


def _state(worker: Worker) -> Text:
    if not worker.connected:
        return Text("away", style="red")
    if worker.draining or worker.leaving:
        return Text("draining" if worker.draining else "leaving", style="yellow")
    return Text("connected", style="green")


def _held(job: Job, now: datetime) -> tuple[str | Text, ...]:
    filled = round(PROGRESS * job.progress_percent / 100)
    progress = Text("#" * filled, style="cyan").append("." * (PROGRESS - filled), style="bright_black")
    progress.append(f" {job.progress_percent:>3} %", style="default")
    started_at = instant(job.started_at)
    ran = "" if started_at is None else duration_text((now - started_at).total_seconds())
    return f"  {job.type}", state_cell(job_state_text(job)), ran, "", progress


def _failures(seen: Seen, look: Look) -> Part:
    return _listed(seen.failed, look, first="FAILED", more="failures")


def _jobs(seen: Seen, look: Look) -> Part:
    return _listed(seen.newest, look, first="NEWEST", more="jobs")


def _listed(jobs: Iterable[Job], look: Look, *, first: str, more: str) -> Part:
    rows: list[tuple[str | Text, ...]] = []
    for job in jobs:
        at = instant(job.finished_at) or instant(job.created_at)
        ran_s = seconds_between(job.started_at, job.finished_at)
        rows.append(
            (
                job.type,
                state_cell(job_state_text(job)),
                "" if at is None else duration_text((look.now - at).total_seconds()),
                "" if ran_s is None else duration_text(ran_s),
                job.id,
                job.error or job.waiting_reason,
            )
        )
    return Part(columns=(first, "STATE", "AGO>", "RAN>", "ID", "NOTE"), rows=rows, more=more)
