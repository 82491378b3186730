"""The job type `contact_sheet`: its parameters, and what a worker does for it."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.params import JobParams, RelativePath, RootName
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import check_content, one_video, opened
from callsheet_contact_sheet.drawing import DRAW, DrawArguments

DEADLINE_S = 300.0
"""How long the drawing of one sheet may take."""


class ContactSheetParams(JobParams):
    """Which video to lay out, and how."""

    video_id: UUID
    """The video's item."""
    columns: Annotated[int, Field(ge=1, le=12)] = 4
    """Pictures side by side."""
    rows: Annotated[int, Field(ge=1, le=12)] = 4
    """Pictures below one another."""
    width: Annotated[int, Field(ge=160, le=4096)] = 1280
    """Of the whole sheet, in pixels."""
    output_root: RootName = "outputs"
    """The root that the sheet is written to."""
    output_path: RelativePath
    """Where it is to lie there; a JPEG."""


class ContactSheet(Processor[ContactSheetParams]):
    """Lays stills of a video out in a grid."""

    job_type = JobType(
        name="contact_sheet",
        description="Lays stills of a video out in a grid.",
        params=ContactSheetParams,
        run_limit_s=600,
    )
    works = (DRAW,)

    @override
    async def process(self, params: ContactSheetParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such video, or something lies at the output path already.
            BrokenMediaError: It cannot be decoded; its item is marked so.
        """
        item = await one_video(context, params.video_id, "", None)
        arguments = DrawArguments(columns=params.columns, rows=params.rows, width=params.width)
        with await opened(context, item) as file:
            answer = await context.children.run(DRAW, arguments, descriptors=[file.fd], deadline_s=DEADLINE_S)
        drawn = answer.value
        check_content(item, drawn.identity, drawn.fault)
        context.report.log(f"A sheet of {drawn.width}x{drawn.height} pixels was drawn.")
        context.report.progress(90)
        output = await context.stage(params.output_root, params.output_path)
        try:
            await output.write(answer.blobs[0])
        except BaseException:
            await output.discard()
            raise
        await context.publish(output)
        return Outcome(
            result={
                "root": params.output_root,
                "outputPath": params.output_path,
                "width": drawn.width,
                "height": drawn.height,
            }
        )
