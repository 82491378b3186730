"""The options that choose jobs, the same for every command that has them."""

from dataclasses import dataclass
from typing import Annotated

import typer

from callsheet.cli.choices import CategoryChoice, JobStateChoice
from callsheet.v1.job_service_pb2 import ListJobsRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Parameters of a command, and what they say."""

    state: Annotated[
        list[JobStateChoice] | None, typer.Option("--state", help="Only jobs in this state; repeatable.")
    ] = None
    job_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only jobs of this type; repeatable.")
    ] = None
    category: Annotated[
        list[CategoryChoice] | None,
        typer.Option("--category", help="Only jobs of this category; repeatable."),
    ] = None
    query: Annotated[str, typer.Option("--query", help="A part of the id, type, parameters or error.")] = ""
    parent: Annotated[str, typer.Option("--parent", metavar="ID", help="Only jobs that this job caused.")] = (
        ""
    )

    collection: Annotated[
        str, typer.Option("--collection", metavar="SLUG", help="Only jobs of this collection.")
    ] = ""

    @property
    def is_empty(self) -> bool:
        """Whether every job passes."""
        chosen = self.state or self.job_type or self.category or self.query or self.parent
        return not (chosen or self.collection)

    def on_wire(self) -> ListJobsRequest:
        """Return the filter without a page."""
        return ListJobsRequest(
            states=[one.value_on_wire for one in self.state or ()],
            types=self.job_type or (),
            categories=[one.value_on_wire for one in self.category or ()],
            query=self.query,
            parent_id=self.parent,
            collection=self.collection,
        )
