"""Shows the queues of a server, most urgent first, and who keeps which paused."""

from collections.abc import Iterable, Mapping
from typing import Final

from callsheet.cli.output import Output, state_cell
from callsheet_immich_agent.policy import Hold, QueueSeen, Rules

COLUMNS: Final = ("QUEUE", "STATE", "ACTIVE>", "WAITING>", "DELAYED>", "FAILED>", "NOTE")

_PAUSED_BY: Final = {Hold.OURS: "by the controller", Hold.THEIRS: "by somebody else"}


def show(queues: Iterable[QueueSeen], holds: Mapping[str, Hold], rules: Rules, *, as_json: bool) -> None:
    """Write a table, or a JSON object for each queue."""
    output = Output(as_json=as_json)
    ranked = sorted(queues, key=lambda queue: (queue.name in rules.unmanaged, rules.rank(queue.name)))
    if not as_json:
        output.table(
            COLUMNS,
            [
                (
                    queue.name,
                    state_cell(_state(queue)),
                    *(f"{count:,}" for count in (queue.active, queue.due, queue.delayed, queue.failed)),
                    _note(queue, holds, rules),
                )
                for queue in ranked
            ],
        )
        return
    for queue in ranked:
        output.document(
            {
                "queue": queue.name,
                "state": _state(queue),
                "active": queue.active,
                "waiting": queue.due,
                "delayed": queue.delayed,
                "failed": queue.failed,
                "note": _note(queue, holds, rules),
            }
        )


def _state(queue: QueueSeen) -> str:
    if queue.paused:
        return "paused"
    return "running" if queue.active else "open"


def _note(queue: QueueSeen, holds: Mapping[str, Hold], rules: Rules) -> str:
    if queue.name in rules.unmanaged:
        return "never touched"
    return _PAUSED_BY.get(holds.get(queue.name, Hold.OPEN), "") if queue.paused else ""
