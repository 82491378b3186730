"""A job as its processor sees it: where to read, where to write, how to report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import JsonValue
from pydantic_core import to_json

from callsheet.errors import AttemptError
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.lease_service_pb2 import LeaseRef, Output
from callsheet.v1.library_service_pb2 import Item, ItemFacts
from callsheet.worker.children import AttemptChildren
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.lease import Lease
from callsheet.worker.stopping import PausedHereError, Stop
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.staging import StagedOutput, stage_wanted
from callsheet.worker.stream.devices import DeviceShare

CHECKPOINT_BYTES_MAX: Final = 64 * 1024
"""Bytes of a checkpoint as JSON."""


def checkpoint_text(checkpoint: Mapping[str, JsonValue]) -> str:
    """Return a checkpoint as JSON.

    Raises:
        AttemptError: It has more than `CHECKPOINT_BYTES_MAX` bytes.
    """
    text = to_json(dict(checkpoint))
    if len(text) > CHECKPOINT_BYTES_MAX:
        raise AttemptError(
            f"the checkpoint has {len(text):,} bytes as JSON; the limit is {CHECKPOINT_BYTES_MAX:,}"
        )
    return text.decode()


class Reporter(Protocol):
    """Takes what an attempt says while it runs; the worker's runtime implements it."""

    def log(self, text: str) -> None:
        """Add lines to the job's log; each is stamped with the instant."""
        ...

    def progress(self, percent: int) -> None:
        """Say how far the attempt is, 0 to 100; going back has no effect."""
        ...


class LibraryAccess(Protocol):
    """The library as a job may use it; the worker's runtime implements it over LibraryService."""

    async def items(self, ids: Sequence[str]) -> list[Item]:
        """Return those of the items that exist, in no particular order."""
        ...

    async def items_below(self, root: str, folder: str) -> list[Item]:
        """Return all items in *folder* of *root* and below; an empty folder means the whole root."""
        ...

    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        """Write items under the job's lease and return their ids in order.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing was written.
            InvalidError: One of the items cannot be kept, ``items[N]`` of its field; nothing was written.
        """
        ...

    async def fence(self) -> None:
        """Make sure that nobody else does the job by now: ask before what cannot be taken back.

        Raises:
            LeaseLostError: Another lease holds it.
        """
        ...

    async def take_in_hand(self, item: Item) -> None:
        """Say which item the job touches next; returns when the scheduler knows.

        The one that was in hand whenever workers were lost is marked broken, and the job goes on without it.
        A job over many items says so in every attempt but its first, and touches them one by one then.

        Raises:
            LeaseLostError: Another lease holds it.
        """
        ...

    async def move(self, item_id: str, facts: ItemFacts) -> None:
        """Let an item go on at another place, with what was made of it: its file lies there.

        What was known there is forgotten. What attempts that began before still say of the old place is not
        written.

        Args:
            item_id: The item.
            facts: As it is, with the new root and path.

        Raises:
            LeaseLostError: Another lease holds the job now; nothing was written.
        """
        ...

    async def forget_derivatives(self, ids: Sequence[str]) -> None:
        """Drop the rows of derivatives of missing items among these, and those of content that has passed.

        Raises:
            LeaseLostError: Another lease holds the job now.
        """
        ...


class QueueAccess(Protocol):
    """The queue as a job may use it while it runs; the worker's runtime implements it over JobService."""

    async def submit(self, jobs: Sequence[NewJob]) -> None:
        """Submit jobs that this one causes, each once; waits while the queue is full.

        They run whatever becomes of this attempt. What must not outlive a failure is for
        `Outcome.follow_ups`.
        """
        ...

    async def children(self) -> list[Job]:
        """Return the jobs that this one has yielded to, in the order in which it gave them.

        All of them were final when this attempt was granted; one that somebody retried since is not. Some
        ended in FAILED or CANCELLED: what then becomes of this job is for its processor to decide.
        """
        ...

    async def unfinished(self, job_type: str) -> list[Job]:
        """Return the jobs of a type that are not final, whoever caused them."""
        ...

    async def helpers(self, job_type: str, roots: Collection[str]) -> int:
        """Return how many other workers with a free slot take jobs of a type and reach the roots."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class JobContext:
    """Everything that a processor may use for one attempt. Not frozen, which would double its cost."""

    lease: Lease
    report: Reporter
    library: LibraryAccess
    queue: QueueAccess
    roots: Roots
    """The named roots that this worker reaches."""
    children: AttemptChildren
    """Sandboxed child processes; the only place where media is decoded."""
    stop: Stop
    """Whether the attempt is to end. Being cancelled says so too; only code in threads has to look."""
    device: DeviceShare | None = None
    """The card that it may use, and how much of it; None to do without one, GPU jobs in software."""
    checkpoint: Mapping[str, JsonValue] | None = None
    """What an earlier attempt kept when it was paused, or yielded; None to begin at the beginning."""
    limits: EncodingLimits = field(default_factory=EncodingLimits)
    """What it may make."""
    inference: InferenceLimits = field(default_factory=InferenceLimits)
    """Where models lie, and what running one may take."""
    priority: int = 0
    """1 (most urgent) to 10, for the jobs that it submits; 0 for the usual one."""
    interactive: bool = False
    """Somebody waits for the result."""
    outputs: list[Output] = field(default_factory=list[Output])
    """What was published to be put where it was asked for."""

    def save(self, checkpoint: Mapping[str, JsonValue]) -> None:
        """Offer to stop here, where *checkpoint* is all that a later attempt needs to go on.

        Only processors of resumable job types call it, as often as they can. What a checkpoint refers to,
        such as a file, must outlive the attempt.

        Raises:
            PausedHereError: The offer is taken; let it pass.
            AttemptCancelledError: The attempt is to end altogether.
            AttemptError: The checkpoint has more than `CHECKPOINT_BYTES_MAX` bytes.
        """
        text = checkpoint_text(checkpoint)
        self.stop.check()
        if self.stop.pausing:
            raise PausedHereError(text)

    async def stage(self, root: str, output_path: str) -> StagedOutput:
        """Begin a file that somebody asked for at *output_path*; publish it when it is whole, or discard it.

        Raises:
            BadInputError: Something lies there already, or nothing can lie there.
            CapacityError: The disk is full.
        """
        return await stage_wanted(self.roots, root, output_path, self.lease)

    async def publish(self, made: StagedOutput) -> None:
        """Make a staged file durable; it gets the name asked for when the attempt's result is committed.

        Check it before. Should the attempt not complete, it is removed.

        Raises:
            CapacityError: The disk is full.
        """
        await made.publish()
        lease = LeaseRef(job_id=self.lease.job_id, token=self.lease.token)
        self.outputs.append(Output(lease=lease, root=made.root, staged_path=made.path, path=made.wanted))
