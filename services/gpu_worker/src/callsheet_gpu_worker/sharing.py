"""Decides whether other workers help with a long re-encode, and makes the jobs that do its chunks."""

from collections.abc import Sequence
from typing import Final

from callsheet.catalog import REENCODE_CHUNK
from callsheet.ids import new_job_id
from callsheet.params import Distribute, ReencodeChunkParams
from callsheet.service.plain import plain_line
from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.processor import Yielded
from callsheet_gpu_worker import chunked
from callsheet_gpu_worker.chunked import Cut

ROUNDS_MAX: Final = 2
"""How often one job has chunks done by others; what is missing then it does itself."""
ROUNDS_KEY: Final = "rounds"


def worth_sharing(wish: Distribute, *, missing: int, rounds: int, helpers: int) -> bool:
    """Say whether the chunks that are missing are done by jobs of their own.

    Args:
        wish: What the job or its worker says.
        missing: Chunks that are not there. One alone is done faster where the job is.
        rounds: How often others have been asked already.
        helpers: Other workers with a free slot.
    """
    if wish == "never" or missing <= 1 or rounds >= ROUNDS_MAX:
        return False
    return wish == "always" or helpers > 0


async def shared(cut: Cut, item: Item, missing: Sequence[int], wish: Distribute | None) -> Yielded | None:
    """Return the jobs that do the missing chunks, with their plan written; None to do them here."""
    context, asked = cut.context, wish or cut.context.limits.distribute
    rounds = rounds_of(cut)
    helpers = 0
    if asked == "auto" and len(missing) > 1 and rounds < ROUNDS_MAX:
        helpers = await context.queue.helpers(REENCODE_CHUNK.name, {item.facts.root, cut.root})
    if not worth_sharing(asked, missing=len(missing), rounds=rounds, helpers=helpers):
        return None
    key, job_id = chunked.plan_key(cut.identity, cut.wish), context.lease.job_id
    file = chunked.plan_file(context, cut.root, key, job_id=job_id)
    if await file.read() is None:
        await file.write(chunked.plan_of(cut))
    count = len(cut.video.chunks)
    context.report.log(f"{len(missing)} of {count} chunks are done by jobs of their own.")
    return Yielded(
        children=[_job(cut, item, key, number) for number in missing],
        checkpoint={
            "encoder": cut.encoder.name,
            "chunks": count,
            "done": count - len(missing),
            ROUNDS_KEY: rounds + 1,
        },
    )


def rounds_of(cut: Cut) -> int:
    """Return how often the job has had chunks done by others."""
    rounds = (cut.context.checkpoint or {}).get(ROUNDS_KEY)
    return rounds if isinstance(rounds, int) else 0


async def tell(cut: Cut) -> None:
    """Log who did the chunks, and why some were not done."""
    if not rounds_of(cut):
        return
    children = await cut.context.queue.children()
    done = [job for job in children if job.state == JobState.JOB_STATE_COMPLETED]
    workers = {job.worker_id for job in done}
    cut.context.report.log(f"{len(done)} chunks were done by {len(workers)} workers.")
    for job in children:
        if job.state != JobState.JOB_STATE_COMPLETED:
            reason = job.error or JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
            cut.context.report.log(plain_line(f"A chunk was not done by job {job.id}: {reason}"))


def _job(cut: Cut, item: Item, key: str, number: int) -> NewJob:
    params = ReencodeChunkParams.model_validate(
        {
            "videoId": item.id,
            "root": item.facts.root,
            "outputRoot": cut.root,
            "parent": cut.context.lease.job_id,
            "plan": key,
            "codec": cut.encoder.codec,
            "number": number,
        }
    )
    return NewJob(
        id=new_job_id(),
        type=REENCODE_CHUNK.name,
        params_json=params.model_dump_json(by_alias=True),
        priority=cut.context.priority,
        interactive=cut.context.interactive,
    )
