"""``callsheet gpus``: the ledger of the GPUs, as a table with bars."""

from collections.abc import Sequence
from typing import Final

import typer
from rich.text import Text

from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import state_cell
from callsheet.v1.fleet_service_pb2 import DeviceAccount, DeviceState

app = typer.Typer()

COLUMNS: Final = (
    "GPU",
    "MODEL",
    "STATE",
    "MEMORY",
    "FREE>",
    "CHARGED>",
    "OURS>",
    "OTHERS>",
    "OF>",
    "ENCODERS>",
    "BUSY>",
    "JOBS>",
    "NOTE",
)

#: Characters of a bar.
BAR: Final = 24

#: What a bar is made of, from the left: a sign and its colour.
CHARGED, OTHERS, FREE, MARGIN = ("#", "cyan"), ("x", "magenta"), (".", "green"), ("-", "bright_black")


@command(app, "gpus")
async def list_gpus(reach: Reach) -> ExitCode:
    """Show the account of every GPU in MB.

    In the bar, # is charged to jobs or used by them, x used by others, . free, - kept free.
    """
    accounts = await reach.client.devices()
    if reach.output.as_json:
        for account in accounts:
            reach.output.document(account)
    elif not accounts:
        reach.output.remark("No GPUs.")
    else:
        reach.output.table(COLUMNS, [_row(account) for account in accounts])
    return ExitCode.OK


def _row(account: DeviceAccount) -> Sequence[str | Text]:
    device, is_fresh = account.device, account.HasField("read_at")
    sessions = str(account.encoder_sessions)
    if device.HasField("encoder_sessions_max"):
        sessions += f" of {device.encoder_sessions_max}"
    lingering = sum(allocation.lingering for allocation in account.allocations)
    notes = [account.problem, f"{lingering} of lost workers" if lingering else ""]
    return (
        f"{account.host} {device.index}",
        device.name,
        state_cell(DeviceState.Name(account.state).removeprefix("DEVICE_STATE_").lower()),
        bar(account),
        str(account.free_mib),
        str(account.allocated_mib),
        str(account.observed_mib) if is_fresh else "",
        str(account.foreign_mib) if is_fresh else "",
        str(account.capacity_mib),
        sessions,
        f"{account.utilization_percent} %" if is_fresh else "",
        str(len(account.allocations)),
        "; ".join(note for note in notes if note),
    )


def bar(account: DeviceAccount) -> Text:
    """Return how the memory of a GPU is divided; whatever is not nothing has a character at least."""
    held_mib = max(account.allocated_mib, account.observed_mib)
    parts = (
        (CHARGED, held_mib),
        (OTHERS, account.foreign_mib),
        (FREE, account.free_mib),
        (MARGIN, account.margin_mib),
    )
    whole_mib = max(1, account.capacity_mib, sum(mib for _, mib in parts))
    text, begun = Text(), 0
    for (sign, style), mib in parts:
        length = min(max(round(BAR * mib / whole_mib), int(mib > 0)), BAR - begun)
        text.append(sign * length, style=style)
        begun += length
    return text.append(" " * (BAR - begun))
