"""Finds the shots of a video, keeps the list of them, and has clips cut out of it on request."""

import json
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import SCENE_EXTRACT
from callsheet.errors import BadInputError, TransientError
from callsheet.media.scenes import Scene, SceneWish, scene_list, scenes_of
from callsheet.params import SceneExtractParams
from callsheet.service.plain import plain_line
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import DerivativeFacts, Item
from callsheet.worker.context import JobContext
from callsheet.worker.metering import metered
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import check_content, one_video, opened
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import derivative_path, publish
from callsheet.worker.threads import in_thread
from callsheet_gpu_worker.shots import FIND_SHOTS, ShotsArguments, ShotsFound

ROOT: Final = "derivatives"
"""The root that lists lie in."""
KIND: Final = "scenes"
DEADLINE_S: Final = 6 * 3600.0
SCENES_SHOWN: Final = 500
"""In a result; the list has all."""
CLIPS_OF_JOB: Final = 50
"""Clips that one job cuts."""
_SUFFIX: Final = ".mp4"
_LIST_BYTES_MAX: Final = 4 << 20


class SceneExtract(Processor[SceneExtractParams]):
    """Publishes a JSON list that becomes a derivative of the video."""

    job_type = SCENE_EXTRACT
    works = (FIND_SHOTS,)

    @override
    async def process(self, params: SceneExtractParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BrokenMediaError: The video cannot be decoded; the item is marked with the reason.
            BadInputError: There is no such video.
            CapacityError: The disk is full.
        """
        item = await one_video(context, params.video_id, params.root, params.input_path)
        wish = SceneWish(threshold=params.threshold, min_length_s=params.min_length)
        if params.output_path is not None and not params.output_path.lower().endswith(_SUFFIX):
            raise BadInputError(f"outputPath: must end in {_SUFFIX}, which the clips are going to be")
        context.report.log(plain_line(f"Input: {item.facts.root}/{item.facts.path}"))
        known = await _known(context, item, wish)
        if known is not None:
            scenes, row = known
        else:
            scenes, row = await _made(context, item, wish)
        context.report.progress(100)
        clips = scenes[: params.count] if params.clips else []
        result: dict[str, JsonValue] = {
            "videoId": item.id,
            "root": row.root,
            "outputPath": row.path,
            "cached": known is not None,
            "count": len(scenes),
            "scenes": [one.as_json() for one in scenes[:SCENES_SHOWN]],
        }
        return Outcome(
            result=result,
            derivatives=[] if known is not None else [row],
            follow_ups=_clip_jobs(params, item, clips),
        )


async def _known(
    context: JobContext, item: Item, wish: SceneWish
) -> tuple[list[Scene], DerivativeFacts] | None:
    """Return what an earlier job found in the same content, if its list is whole."""
    for facts in (one.facts for one in item.derivatives):
        same = (facts.kind, facts.recipe) == (KIND, wish.recipe)
        if not same or facts.source_identity != item.facts.identity:
            continue
        try:
            content = await in_thread(partial(_content, context, facts))
            scenes = _read(content)
        except (BadInputError, ValueError, KeyError, TypeError):
            continue
        context.report.log(plain_line(f"Completed at once, as cached: {facts.root}/{facts.path}."))
        return scenes, facts
    return None


def _content(context: JobContext, facts: DerivativeFacts) -> bytes:
    return context.roots.read(facts.root, facts.path, 0, _LIST_BYTES_MAX).content


def _read(content: bytes) -> list[Scene]:
    return [
        Scene(
            start_s=float(one["start"]),
            end_s=float(one["end"]),
            start_frame=int(one["startFrame"]),
            end_frame=int(one["endFrame"]),
        )
        for one in json.loads(content)["scenes"]
    ]


async def _made(context: JobContext, item: Item, wish: SceneWish) -> tuple[list[Scene], DerivativeFacts]:
    with await opened(context, item) as file:
        found = await _found(context, item, wish, file)
    try:
        scenes = scenes_of(found.starts, found.frames, found.end_s)
    except ValueError as error:
        raise TransientError(f"{item.facts.path}: what was found makes no list of shots: {error}") from error
    more = " of which the last holds all that are left" if found.more else ""
    context.report.log(f"{len(scenes)} shots in {found.frames:,} frames, {found.end_s:.1f} s{more}.")
    content = scene_list(scenes, wish, f"PySceneDetect {version('scenedetect-headless')} AdaptiveDetector")
    path = derivative_path(KIND, item.id, wish.recipe, context.lease.file_tag, ".json")
    await publish(context.roots, ROOT, path, context.lease, content)
    row = DerivativeFacts(
        item_id=item.id,
        kind=KIND,
        recipe=wish.recipe,
        source_identity=item.facts.identity,
        root=ROOT,
        path=path,
        media_type="application/json",
        size_bytes=len(content),
    )
    return scenes, row


async def _found(context: JobContext, item: Item, wish: SceneWish, file: OpenedFile) -> ShotsFound:
    arguments = ShotsArguments(threshold=wish.threshold, min_length_s=wish.min_length_s)
    with metered(context.report) as meter:
        answer = await context.children.run(
            FIND_SHOTS,
            arguments,
            descriptors=[file.fd, meter],
            deadline_s=DEADLINE_S,
            cpu_s=int(DEADLINE_S),
        )
    check_content(item, answer.value.identity, answer.value.fault)
    return answer.value


def _clip_jobs(params: SceneExtractParams, item: Item, scenes: Sequence[Scene]) -> list[NewJob]:
    """Return the jobs that cut shots out of the video, exactly, as many of each as one may."""
    jobs: list[NewJob] = []
    for begin in range(0, len(scenes), CLIPS_OF_JOB):
        part = scenes[begin : begin + CLIPS_OF_JOB]
        asked: dict[str, JsonValue] = {
            "videoId": item.id,
            "ranges": [{key: one.as_json()[key] for key in ("start", "end")} for one in part],
            "exact": True,
            "outputRoot": params.output_root,
        }
        if params.output_path is not None:
            stem = params.output_path[: -len(_SUFFIX)]
            further = "" if len(scenes) <= CLIPS_OF_JOB else f"-{begin // CLIPS_OF_JOB + 1}"
            asked["outputPath"] = f"{stem}{further}{_SUFFIX}"
        jobs.append(NewJob(type="clip_generate", params_json=json.dumps(asked)))
    return jobs
