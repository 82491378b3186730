"""Reads one file again, as closely as asked, and writes down what it is and whether it is whole."""

from typing import Final

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import VALIDATE
from callsheet.media.faults import FaultKind
from callsheet.params import ValidateParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import CHECK, CheckArguments, Checked
from callsheet.worker.item_facts import reason_text, sound_item
from callsheet.worker.metering import metered
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import one_item
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread

_MARGIN_S: Final = 30


class Validate(Processor[ValidateParams]):
    """Completes with a verdict whatever the file is like; only a file that cannot be opened fails it."""

    job_type = VALIDATE

    @override
    async def process(self, params: ValidateParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such item, or its file is gone.
            TransientError: It took too long.
        """
        item = await one_item(context, str(params.video_id))
        root, path = item.facts.root, item.facts.path
        context.report.log(plain_line(f"Checking {root}/{path} ({params.depth})."))
        with (
            await in_thread(lambda: context.roots.open_file(root, path), OpenedFile.close) as file,
            metered(context.report) as meter,
        ):
            answer = await context.children.run(
                CHECK,
                CheckArguments(depth=params.depth),
                descriptors=[file.fd, meter],
                deadline_s=self.job_type.run_limit_s - _MARGIN_S,
                cpu_s=self.job_type.run_limit_s,
            )
            row = refreshed(item, answer.value, size_bytes=file.size_bytes, mtime_ns=file.mtime_ns)
        said = verdict(answer.value)
        context.report.log(plain_line(f"{said}: {_reason(answer.value) or 'nothing is wrong with it'}"))
        context.report.progress(100)
        return Outcome(result=_result(params.depth, said, answer.value), items=[row])


def verdict(checked: Checked) -> str:
    """Return ok, warn, truncated, undecodable, encrypted or unsupported."""
    if checked.fault is None:
        return "warn" if checked.warnings else "ok"
    return (FaultKind.TRUNCATED if checked.fault.kind is FaultKind.EMPTY else checked.fault.kind).value


def refreshed(item: Item, checked: Checked, *, size_bytes: int, mtime_ns: int) -> ItemFacts:
    """Return the item's row with what the check found; what a broken file was known for is kept."""
    row = ItemFacts()
    if checked.facts is None:
        row.CopyFrom(item.facts)
    else:
        row = sound_item(checked.facts)
    if checked.fault is None:
        row.state, row.reason = ItemState.ITEM_STATE_OK, ""
    else:
        row.state, row.reason = ItemState.ITEM_STATE_BROKEN, reason_text(checked.fault.reason)
    row.root, row.path, row.public = item.facts.root, item.facts.path, item.facts.public
    row.size_bytes, row.mtime_ns, row.identity = size_bytes, mtime_ns, checked.identity
    return row


def _reason(checked: Checked) -> str:
    return "; ".join(checked.warnings) if checked.fault is None else checked.fault.reason


def _result(depth: str, said: str, checked: Checked) -> dict[str, JsonValue]:
    return {
        "verdict": said,
        "reason": _reason(checked),
        "depth": depth,
        "packets": checked.packets,
        "frames": checked.frames,
        "readSeconds": checked.read_s,
    }
