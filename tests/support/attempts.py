"""An attempt seen from a processor: real roots, real children, and a library that fits in a test."""

import json
import uuid
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from typing_extensions import override

from callsheet.service.settings import AnyRootSettings, RootSettings
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.library_service_pb2 import Derivative, Item, ItemFacts, ItemState
from callsheet.worker.children import AttemptChildren
from callsheet.worker.context import JobContext
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.lease import Lease
from callsheet.worker.probing import item_row, probe_file
from callsheet.worker.processor import Outcome
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.sandbox.work import Work
from callsheet.worker.stopping import Stop
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.stream.commands import StopReason
from tests.support.folders import folder_of


@dataclass(slots=True)
class Diary:
    """What an attempt reported."""

    lines: list[str] = field(default_factory=list[str])
    percents: list[int] = field(default_factory=list[int])

    def log(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, percent: int) -> None:
        self.percents.append(percent)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Pausing(Diary):
    """Asks for a pause as soon as so many commands have begun; at the first word where that is none."""

    def __init__(self, stop: Stop, commands: int) -> None:
        super().__init__()
        self.stop = stop
        self.commands = commands

    @override
    def log(self, text: str) -> None:
        super().log(text)
        if self.text.count("FFmpeg command") == self.commands:
            self.stop.ask(StopReason.PAUSED, begun=True)


@dataclass(slots=True)
class Shelf:
    """The protocol of the library over a dictionary; takes outcomes in as the scheduler would."""

    rows: dict[str, Item] = field(default_factory=dict[str, Item])
    writes: list[int] = field(default_factory=list[int])
    in_hand: list[str] = field(default_factory=list[str])

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [self.rows[one] for one in ids if one in self.rows]

    async def items_below(self, root: str, folder: str) -> list[Item]:
        return [
            item
            for item in self.rows.values()
            if item.facts.root == root and (not folder or item.facts.path.startswith(f"{folder}/"))
        ]

    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        for one in missing_ids:
            self.rows[one].facts.state = ItemState.ITEM_STATE_MISSING
        self.writes.append(len(items))
        return [self._put(facts) for facts in items]

    async def fence(self) -> None:
        self.writes.append(0)

    async def take_in_hand(self, item: Item) -> None:
        self.in_hand.append(item.facts.path)

    async def move(self, item_id: str, facts: ItemFacts) -> None:
        for other in [one for one in self.rows.values() if one.id != item_id]:
            if (other.facts.root, other.facts.path) == (facts.root, facts.path):
                del self.rows[other.id]
        self.rows[item_id].facts.CopyFrom(facts)

    async def forget_derivatives(self, ids: Sequence[str]) -> None:
        for item in (self.rows[one] for one in ids if one in self.rows):
            missing = item.facts.state == ItemState.ITEM_STATE_MISSING
            kept = [one for one in item.derivatives if one.facts.source_identity == item.facts.identity]
            del item.derivatives[:]
            item.derivatives.extend([] if missing else kept)

    def take(self, outcome: Outcome) -> None:
        """Write what an outcome says."""
        for facts in outcome.items:
            self._put(facts)
        for derivative in outcome.derivatives:
            self.rows[derivative.item_id].derivatives.append(Derivative(facts=derivative))
        for broken in outcome.broken:
            facts = self.rows[broken.item_id].facts
            facts.state, facts.reason = ItemState.ITEM_STATE_BROKEN, broken.reason

    def at(self, path: str) -> Item:
        """Return the item with that path."""
        return next(item for item in self.rows.values() if item.facts.path == path)

    @property
    def paths(self) -> list[str]:
        return sorted(item.facts.path for item in self.rows.values())

    def _put(self, facts: ItemFacts) -> str:
        same = (item for item in self.rows.values() if item.facts.path == facts.path)
        item = next((one for one in same if one.facts.root == facts.root), None)
        if item is None:
            item = Item(id=str(uuid.uuid4()))
            self.rows[item.id] = item
        if item.facts.identity != facts.identity:
            del item.derivatives[:]
        item.facts.CopyFrom(facts)
        return item.id


@dataclass(slots=True)
class Tray:
    """The protocol of the queue over a list; nobody runs what lies in it."""

    submitted: list[NewJob] = field(default_factory=list[NewJob])
    calls: list[int] = field(default_factory=list[int])
    finished: list[Job] = field(default_factory=list[Job])
    """The children that the attempts before have yielded to."""
    free_workers: int = 0
    """Other workers that could help."""
    asked_for: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    async def submit(self, jobs: Sequence[NewJob]) -> None:
        self.calls.append(len(jobs))
        self.submitted += jobs

    async def children(self) -> list[Job]:
        return list(self.finished)

    async def unfinished(self, job_type: str) -> list[Job]:
        return [
            Job(type=job.type, params_json=job.params_json) for job in self.submitted if job.type == job_type
        ]

    async def helpers(self, job_type: str, roots: Collection[str]) -> int:
        self.asked_for.append((job_type, *sorted(roots)))
        return self.free_workers

    def items(self) -> list[str]:
        """Take everything out, and return the items that were named."""
        ids = [one for job in self.submitted for one in json.loads(job.params_json)["itemIds"]]
        self.submitted.clear()
        return ids


@dataclass(slots=True)
class Desk:
    """A place to run attempts at."""

    roots: Roots
    children: ChildPool
    library: Shelf
    derivatives: Path
    outputs: Path
    queue: Tray = field(default_factory=Tray)
    diary: Diary = field(default_factory=Diary)
    stop: Stop = field(default_factory=Stop)
    checkpoint: Mapping[str, JsonValue] | None = None
    token: int = 0
    collection: str = ""
    limits: EncodingLimits = field(default_factory=EncodingLimits)

    def context(self, job_id: str = "job-1", *, attempt: int = 1) -> JobContext:
        """Return the context of a new attempt of a job, under a new lease."""
        self.token += 1
        self.diary = Diary()
        self.stop = Stop()
        return JobContext(
            lease=Lease(job_id=job_id, token=self.token, attempt=attempt, collection=self.collection),
            report=self.diary,
            library=self.library,
            queue=self.queue,
            roots=self.roots,
            children=AttemptChildren(self.children, self.stop),
            stop=self.stop,
            checkpoint=self.checkpoint,
            limits=self.limits,
        )

    def files(self) -> list[str]:
        """Return the published files, relative to the derivatives' root."""
        return sorted(
            str(one.relative_to(self.derivatives)) for one in self.derivatives.rglob("*") if one.is_file()
        )

    def output_of(self, outcome: Outcome) -> Path:
        """Return the file that an encode made."""
        return self.outputs / str(outcome.result["outputPath"])

    def kept(self) -> list[str]:
        """Return the files of the outputs' root, relative to it."""
        return sorted(str(one.relative_to(self.outputs)) for one in self.outputs.rglob("*") if one.is_file())


@asynccontextmanager
async def desk(
    tmp_path: Path,
    media: Path | None = None,
    *,
    size: int = 1,
    works: Sequence[Work[Any, Any]] = (),
    elsewhere: Mapping[str, AnyRootSettings] | None = None,
) -> AsyncGenerator[Desk]:
    """Give a desk over a read-only library folder and a writable one for derivatives.

    *elsewhere* are roots in the place of these, or beside them; its children know the *works* of a
    processor too.
    """
    library, derivatives, outputs = (
        media or tmp_path / "library",
        tmp_path / "derivatives",
        tmp_path / "outputs",
    )
    for folder in (library, derivatives, outputs):
        folder.mkdir(exist_ok=True)
    settings: dict[str, AnyRootSettings] = {
        "library": RootSettings(path=library),
        "derivatives": RootSettings(path=derivatives, writable=True),
        "outputs": RootSettings(path=outputs, writable=True),
    }
    async with ChildPool(size=size, functions=[work.function for work in works]) as children:
        yield Desk(
            roots=Roots(settings | dict(elsewhere or {}), Scratch(tmp_path / "scratch", floor_mib=1)),
            children=children,
            library=Shelf(),
            derivatives=derivatives,
            outputs=outputs,
        )


async def scanned(place: Desk, path: str, root: str = "library") -> Item:
    """Put a file into the library as a scan would, and return its item."""
    row = item_row(root, path, await probe_file(place.context(), root, path))
    assert row is not None
    (item_id,) = await place.library.upsert([row])
    return place.library.rows[item_id]


def library(place: Desk) -> Path:
    """Return the folder of the originals."""
    return folder_of(place.roots["library"])
