"""Shows jobs, items and workers to people and to scripts."""

import json
from collections.abc import Iterable, Mapping

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from callsheet.v1.job_pb2 import Job, JobState, ResourceCategory
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind

STEP = 1024.0


def print_json(message: Message | Mapping[str, object]) -> None:
    """Print one JSON document on one line, keys as in the REST API."""
    value = MessageToDict(message) if isinstance(message, Message) else dict(message)
    print(json.dumps(value, ensure_ascii=False))  # noqa: T201 -- the output of the command


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table."""
    shown = Table(box=None, pad_edge=False)
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)


def job_state(job: Job) -> str:
    """Return the state in lower case."""
    return JobState.Name(job.state).removeprefix("JOB_STATE_").lower()


def category(value: int) -> str:
    """Return the category in lower case."""
    return ResourceCategory.Name(ResourceCategory.ValueType(value)).removeprefix("RESOURCE_CATEGORY_").lower()


def kind(item: Item) -> str:
    """Return what an item is, in lower case."""
    return MediaKind.Name(item.facts.kind).removeprefix("MEDIA_KIND_").lower()


def item_state(item: Item) -> str:
    """Return whether an item can be used, in lower case."""
    return ItemState.Name(item.facts.state).removeprefix("ITEM_STATE_").lower()


def instant(stamp: Timestamp) -> str:
    """Return an instant in local time, or nothing for none."""
    return stamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") if stamp.ByteSize() else ""


def size(size_bytes: float) -> str:
    """Return a size for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < STEP:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= STEP
    return f"{size_bytes:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a duration for people."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
