"""The options of a submission."""

from dataclasses import dataclass
from typing import Annotated

import typer

from callsheet.cli.choices import IfFailsChoice
from callsheet.v1.job_pb2 import IF_DEPENDENCY_FAILS_UNSPECIFIED, NewJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What may be asked for beside a job's type and parameters."""

    priority: Annotated[int, typer.Option(min=1, max=10, help="1 is the most urgent.")] = 5
    max_retries: Annotated[int | None, typer.Option(min=0, max=20, help="Automatic retries.")] = None
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Go before other jobs of the same priority.")
    ] = False
    job_id: Annotated[
        str, typer.Option("--id", help="A UUIDv7 of your own: a repeated submission is the same job.")
    ] = ""
    after: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A job that has to be final before; may be repeated."),
    ] = None
    if_fails: Annotated[
        IfFailsChoice, typer.Option(help="What becomes of the job when one of those does not complete.")
    ] = IfFailsChoice.FAIL
    unique_key: Annotated[
        str,
        typer.Option("--unique", metavar="KEY", help="While a live job has this key, answer with that job."),
    ] = ""
    collection: Annotated[
        str, typer.Option(metavar="SLUG", help="The collection that it belongs to; made where it is new.")
    ] = ""

    def job(self, job_type: str, params_json: str) -> NewJob:
        """Return what is asked for."""
        return NewJob(
            id=self.job_id,
            type=job_type,
            params_json=params_json,
            priority=self.priority,
            max_retries=self.max_retries,
            interactive=self.interactive,
            depends_on=self.after or (),
            if_dependency_fails=self.if_fails.value_on_wire
            if self.after
            else IF_DEPENDENCY_FAILS_UNSPECIFIED,
            unique_key=self.unique_key,
            collection=self.collection,
        )
