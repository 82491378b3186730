"""What a scan and the jobs after it made of the library."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import override

from callsheet.cli.choices import job_state_text
from callsheet.cli.documents import Document, document, embedded
from callsheet.cli.humane import duration_text
from callsheet.cli.instants import seconds_between
from callsheet.cli.output import Output
from callsheet.client import Client
from callsheet.errors import NotFoundError
from callsheet.params import ScanParams
from callsheet.service.plain import plain_line
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.library_service_pb2 import Item, ItemState, ListItemsRequest, MediaKind

#: Broken files that a summary names.
BROKEN_MAX: Final = 200

KINDS: Final[dict[str, "MediaKind.ValueType"]] = {
    "image": MediaKind.MEDIA_KIND_IMAGE,
    "video": MediaKind.MEDIA_KIND_VIDEO,
    "audio": MediaKind.MEDIA_KIND_AUDIO,
    "document": MediaKind.MEDIA_KIND_DOCUMENT,
}

_NAMES: Final = {"image": "image", "video": "video", "audio": "audio file", "document": "document"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many items; a floor where counting stopped."""

    count: int
    is_exact: bool = True

    @override
    def __str__(self) -> str:
        return f"{self.count:,}" if self.is_exact else f"more than {self.count:,}"

    def of(self, name: str) -> str:
        """Return the count with *name*, in the plural where it is not one."""
        return f"{self} {name}" if self.count == 1 and self.is_exact else f"{self} {name}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySummary:
    """The end of a scan."""

    scan: Job
    pictures: Sequence[Job]
    """The jobs that the scan caused."""
    place: str
    """What was scanned: ``ROOT`` or ``ROOT:path``."""
    found: Mapping[str, int]
    """What the scan reported: found, new, changed, unchanged, broken, missing, passedOver."""
    made: Mapping[str, int]
    """What the other jobs reported together: made, skipped, broken, failed, missing."""
    items: Mapping[str, Count]
    """Good items below the place, by kind."""
    broken: Count
    broken_items: Sequence[Item]
    """The first of them."""

    @property
    def failed_jobs(self) -> Sequence[Job]:
        """The jobs that did not complete."""
        return [job for job in (self.scan, *self.pictures) if job.state != JobState.JOB_STATE_COMPLETED]

    @property
    def is_done(self) -> bool:
        """Whether every job completed. Broken files are no failure: they are listed."""
        return not self.failed_jobs


async def summarize(client: Client, scan: Job, pictures: Sequence[Job]) -> LibrarySummary:
    """Read from the library what became of the place that *scan* looked at."""
    root, path = _scanned(scan)
    holding = await _below(client, root, path)
    if path and not holding.broken.count and not any(count.count for count in holding.items.values()):
        holding = await _alone(client, root, path) or holding
    return LibrarySummary(
        scan=scan,
        pictures=pictures,
        place=f"{root}:{path}" if path else root,
        found=_figures([scan]),
        made=_figures(pictures),
        items=holding.items,
        broken=holding.broken,
        broken_items=holding.broken_items,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    """What the library holds at a place."""

    items: Mapping[str, Count]
    broken: Count
    broken_items: Sequence[Item]


async def _below(client: Client, root: str, folder: str) -> _Holding:
    items: dict[str, Count] = {}
    for name, kind in KINDS.items():
        wanted = ListItemsRequest(
            root=root, folder=folder, kinds=[kind], states=[ItemState.ITEM_STATE_OK], page_size=1
        )
        page = await client.items_page(wanted)
        items[name] = Count(count=page.total, is_exact=page.total_is_exact)
    wanted = ListItemsRequest(root=root, folder=folder, states=[ItemState.ITEM_STATE_BROKEN])
    first = await client.items_page(wanted)
    broken: list[Item] = []
    async with aclosing(client.items(wanted)) as several:
        async for item in several:
            broken.append(item)
            if len(broken) == BROKEN_MAX:
                break
    count = Count(count=first.total, is_exact=first.total_is_exact)
    return _Holding(items=items, broken=count, broken_items=broken)


async def _alone(client: Client, root: str, path: str) -> _Holding | None:
    """Return the one item whose file was scanned; None where there is none."""
    try:
        item = await client.item_at(root, path)
    except NotFoundError:
        return None
    broken = [item] if item.facts.state == ItemState.ITEM_STATE_BROKEN else []
    is_good = item.facts.state == ItemState.ITEM_STATE_OK
    items = {name: Count(count=int(is_good and item.facts.kind == kind)) for name, kind in KINDS.items()}
    return _Holding(items=items, broken=Count(count=len(broken)), broken_items=broken)


def summary_document(summary: LibrarySummary) -> Document:
    """Return the summary as JSON."""
    return {
        "scan": document(summary.scan),
        "place": summary.place,
        "found": dict(summary.found),
        "pictures": dict(summary.made),
        "items": {kind: count.count for kind, count in summary.items.items()},
        "broken": [
            {
                "id": item.id,
                "root": item.facts.root,
                "path": item.facts.path,
                "reason": item.facts.reason,
            }
            for item in summary.broken_items
        ],
        "broken_count": summary.broken.count,
        "failed_jobs": [document(job) for job in summary.failed_jobs],
    }


def write_summary(summary: LibrarySummary, output: Output) -> None:
    """Tell people how it went."""
    for sentence in _sentences(summary):
        output.say(sentence)
    for item in summary.broken_items:
        output.say(plain_line(f"  {item.facts.path}: {item.facts.reason}"))
    if summary.broken.count > len(summary.broken_items):
        output.say("  and more: callsheet library list --state broken --limit 0")


def _sentences(summary: LibrarySummary) -> Iterator[str]:
    ran_s = seconds_between(summary.scan.started_at, _last_end(summary))
    time = f" in {duration_text(ran_s)}" if ran_s is not None else ""
    counts = [
        f"{summary.found[name]:,} {name}"
        for name in ("new", "changed", "unchanged", "missing")
        if name in summary.found
    ]
    found = Count(count=summary.found.get("found", 0))
    if counts:
        yield f"Scanned {summary.place}{time}: {found.of('file')}; {', '.join(counts)}."
    if counts and not found.count and not summary.found.get("missing"):
        yield f"There is nothing at {summary.place} that could be scanned."
    if summary.found.get("passedOver"):
        passed = Count(count=summary.found["passedOver"]).of("file")
        yield f"Passed over {passed}; the log says why: callsheet jobs logs {summary.scan.id}"
    kinds = [count.of(_NAMES[kind]) for kind, count in summary.items.items() if count.count]
    if kinds:
        yield f"The library has {', '.join(kinds)} there."
    if summary.made.get("made"):
        yield f"Pictures were made of {Count(count=summary.made['made']).of('item')}."
    if summary.made.get("failed"):
        failed = Count(count=summary.made["failed"])
        yield f"Pictures of {failed.of('item')} failed; the logs of the jobs say why."
    for job in summary.failed_jobs:
        reason = job.error or "no reason given"
        yield f"{job.type} {job_state_text(job)}: {reason} (callsheet jobs logs {job.id})"
    if summary.broken.count:
        yield f"{summary.broken.of('file')} cannot be used:"


def _scanned(scan: Job) -> tuple[str, str]:
    """Return root and folder of a scan."""
    params = embedded(scan.params_json)
    values = params if isinstance(params, dict) else {}
    root = values.get("root", ScanParams.model_fields["root"].default)
    path = values.get("path")
    return str(root), str(path).strip("/") if path else ""


def _figures(jobs: Sequence[Job]) -> dict[str, int]:
    """Return the sums of the figures that jobs reported."""
    sums: dict[str, int] = {}
    for job in jobs:
        result = embedded(job.result_json)
        for name, value in (result if isinstance(result, dict) else {}).items():
            if isinstance(value, int):
                sums[name] = sums.get(name, 0) + value
    return sums


def _last_end(summary: LibrarySummary) -> Timestamp:
    """Return when the last of the jobs ended; unset where none has."""
    ends = [job.finished_at for job in (summary.scan, *summary.pictures) if job.HasField("finished_at")]
    return max(ends, key=lambda stamp: (stamp.seconds, stamp.nanos), default=summary.scan.finished_at)


def print_summary(summary: LibrarySummary) -> None:
    """Tell people on standard output how it went."""
    write_summary(summary, Output(as_json=False))
