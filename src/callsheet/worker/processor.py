"""The contract that code for one job type fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import JsonValue

from callsheet.catalog import JobType
from callsheet.errors import BadInputError
from callsheet.params import JobParams
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import BrokenItem, DerivativeFacts, ItemFacts, TagSet
from callsheet.worker.context import JobContext
from callsheet.worker.sandbox.work import Work

ParamsT = TypeVar("ParamsT", bound=JobParams)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a completed attempt reports. All of it is committed in one transaction, or nothing is."""

    result: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """For a person or a program; at most 64 KiB as JSON."""
    items: Sequence[ItemFacts] = ()
    """Library items to insert or replace."""
    derivatives: Sequence[DerivativeFacts] = ()
    """Derivatives to point at; their files are published and durable."""
    broken: Sequence[BrokenItem] = ()
    """Items found to be undecodable."""
    tags: Sequence[TagSet] = ()
    """What items are tagged with; each in place of what its source said before."""
    follow_ups: Sequence[NewJob] = ()
    """Jobs to submit, at most 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yielded:
    """What an attempt reports whose job goes on once other jobs are final. It holds no slot meanwhile.

    All of it is committed in one transaction, or nothing is. The next attempt finds *checkpoint* in its
    context, and what became of the children by ``context.queue.children()``. Files that this attempt
    published by path are removed.
    """

    children: Sequence[NewJob]
    """Jobs to submit and to wait for, 1 to 1,000; one that lives under its id already is waited for."""
    checkpoint: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What the next attempt needs to go on; at most 64 KiB as JSON."""


class BrokenMediaError(BadInputError):
    """The attempt failed because items cannot be used; they are marked so in the same transaction."""

    def __init__(self, message: str, *, broken: Sequence[BrokenItem] = ()) -> None:
        super().__init__(message)
        self.broken = broken


class Processor(ABC, Generic[ParamsT]):
    """Does the jobs of one type.

    One instance serves all jobs of its type in a worker, several at once, so it keeps no state of a
    job. Registered by an entry point of the group ``callsheet.processors``.
    """

    job_type: ClassVar[JobType]
    """Name, category, needs and parameter model."""
    works: ClassVar[Sequence[Work[Any, Any]]] = ()
    """What of its own it has decode children do: they import it before they give up their rights."""

    @abstractmethod
    async def process(self, params: ParamsT, context: JobContext) -> Outcome | Yielded:
        """Run one attempt.

        Untrusted media is touched only through *context*, which decodes in sandboxed children.

        Raises:
            AttemptError: The attempt failed; the class decides about a retry. Any other exception
                counts as a fault of the code and is retried with backoff.
        """
