"""Tags an item: by its metadata, by what is measured of it, and by the models that are installed."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import TAG_GENERATION
from callsheet.errors import BadInputError, OutOfVramError
from callsheet.media import likeness, tags
from callsheet.media.tags import HEURISTIC, METADATA, Known, Tag
from callsheet.models.resize import Resize
from callsheet.models.shelf import Installed, installed
from callsheet.params import TagGenerationParams
from callsheet.service.plain import plain_line
from callsheet.v1 import library_service_pb2 as wire
from callsheet.v1.library_service_pb2 import Item, MediaKind, TagSet
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import SAMPLE, SampleArguments
from callsheet.worker.inference.hosts import InferenceHost
from callsheet.worker.measuring import measured
from callsheet.worker.processor import BrokenMediaError, Outcome, Processor
from callsheet.worker.sources import check_content, one_usable, opened
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread

_STILL: Final = 160
_MEASURED_PERCENT: Final = 60.0
_SAMPLE_LIMIT_S: Final = 300.0
_NAMES_SHOWN: Final = 50
_SEEN: Final = frozenset({MediaKind.MEDIA_KIND_IMAGE, MediaKind.MEDIA_KIND_VIDEO})
_HEARD: Final = frozenset({MediaKind.MEDIA_KIND_VIDEO, MediaKind.MEDIA_KIND_AUDIO})


@dataclass(slots=True, kw_only=True)
class _Work:
    """One item and what is found of it."""

    context: JobContext
    item: Item
    params: TagGenerationParams
    sets: list[TagSet] = field(default_factory=list[TagSet])
    ran: list[JsonValue] = field(default_factory=list[JsonValue])
    left_out: list[JsonValue] = field(default_factory=list[JsonValue])

    def add(self, source: str, found: list[Tag], computed_on: str = "") -> None:
        """Keep what a source says of the item, and tell it."""
        self.sets.append(
            TagSet(
                item_id=self.item.id,
                source_identity=self.item.facts.identity,
                source=source,
                computed_on=computed_on,
                tags=[wire.Tag(name=tag.name, score=min(1.0, max(0.0, tag.score))) for tag in found],
            )
        )
        said = ", ".join(f"{tag.name} {tag.score:.2f}" for tag in found) or "nothing"
        self.context.report.log(plain_line(f"{source}: {said}"))


class TagGeneration(Processor[TagGenerationParams]):
    """Never gives a tag of a model that no model made; what no model could say is left out and told."""

    job_type = TAG_GENERATION

    @override
    async def process(self, params: TagGenerationParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such item, it cannot be used, or a model that was named cannot.
            OutOfVramError: A model needs more of the card than was given.
            CapacityError: A model had not enough memory.
        """
        item = await one_usable(context, params.video_id, params.root, params.input_path)
        models = await _chosen(params, context)
        work = _Work(context=context, item=item, params=params)
        work.add(METADATA, tags.metadata_tags(_known(item)))
        with await opened(context, item) as file:
            work.add(HEURISTIC, await _measured(work, file))
            asked = models if item.facts.kind in _SEEN else []
            for number, model in enumerate(asked):
                context.report.progress(
                    int(_MEASURED_PERCENT + (99 - _MEASURED_PERCENT) * number / len(asked))
                )
                await _ask(work, model, file)
        context.report.progress(100)
        return Outcome(tags=work.sets, result=_result(work))


async def _chosen(params: TagGenerationParams, context: JobContext) -> list[Installed]:
    folder = context.inference.folder
    there = [] if folder is None else await in_thread(lambda: installed(folder))
    if params.models is None:
        return there
    found = {model.name: model for model in there}
    missing = [name for name in params.models if name not in found]
    if missing:
        raise BadInputError(
            f"models: {missing[0]} is not installed here; fetch it with `callsheet models pull` into the"
            " worker's CALLSHEET_MODEL_DIR, or leave it out"
        )
    return [found[name] for name in dict.fromkeys(params.models)]


def _known(item: Item) -> Known:
    facts = item.facts
    return Known(
        kind=MediaKind.Name(facts.kind).removeprefix("MEDIA_KIND_").lower(),
        width=facts.width,
        height=facts.height,
        duration_s=facts.duration_s if facts.HasField("duration_s") else None,
        frame_rate=facts.frame_rate,
        audio_codec=facts.audio_codec,
    )


async def _measured(work: _Work, file: OpenedFile) -> list[Tag]:
    if work.item.facts.kind in _HEARD:
        return tags.measured_tags(
            await measured(work.context, work.item, file, until_percent=_MEASURED_PERCENT)
        )
    if work.item.facts.kind in _SEEN:
        wanted = SampleArguments(count=1, size=(_STILL, _STILL), resize=Resize.STRETCH)
        content, _ = await _pictures(work, file, wanted)
        return tags.still_tags(np.frombuffer(content, np.uint8).reshape(_STILL, _STILL, 3))
    return []


async def _ask(work: _Work, model: Installed, file: OpenedFile) -> None:
    """Have one model tag the item; one that nobody named may be unusable, which is told."""
    try:
        await _run(work, model, file)
    except BrokenMediaError:
        raise
    except BadInputError as error:
        if work.params.models is not None:
            raise
        work.left_out.append({"model": model.name, "reason": error.message[:300]})
        work.context.report.log(plain_line(f"Left out: {error.message}"))


async def _run(work: _Work, model: Installed, file: OpenedFile) -> None:
    context, manifest = work.context, model.manifest
    if manifest is None or model.problem:
        raise BadInputError(f"model {model.name}: {model.problem}")
    image, share = manifest.image, context.device
    if share is not None and manifest.vram_mib > share.vram_mib:
        raise OutOfVramError(
            f"model {manifest.name} needs {manifest.vram_mib:,} MB of the card,"
            f" the job was given {share.vram_mib:,}"
        )
    wanted = SampleArguments(
        count=work.params.frames, size=image.size, resize=image.resize, interpolation=image.interpolation
    )
    context.report.log(plain_line(f"Asking the model {manifest.label}."))
    content, count = await _pictures(work, file, wanted)
    async with context.children.inference(manifest, model.folder, context.inference, share) as host:
        per_picture = await host.scores(content, count)
    rules = manifest.scores
    found = likeness.chosen(
        host.labels, likeness.merged(per_picture), threshold=rules.threshold, most=rules.most
    )
    _tell(work, host, count)
    work.add(manifest.label, [Tag(name, score) for name, score in found], "cuda" if host.on_card else "cpu")


async def _pictures(work: _Work, file: OpenedFile, wanted: SampleArguments) -> tuple[bytes, int]:
    answer = await work.context.children.run(
        SAMPLE, wanted, descriptors=[file.fd], deadline_s=_SAMPLE_LIMIT_S
    )
    check_content(work.item, answer.value.identity, answer.value.fault)
    return answer.blobs[0], answer.value.pictures


def _tell(work: _Work, host: InferenceHost, count: int) -> None:
    """Say where a model computed; without CUDA, ONNX Runtime takes the processor and says nothing."""
    share, loaded, name = work.context.device, host.loaded, host.manifest.label
    work.ran.append({"model": name, "provider": loaded.provider, "pictures": count})
    say = work.context.report.log
    say(f"Model {name}: {count} pictures, {len(host.labels):,} labels, by {loaded.provider}.")
    if share is not None and not host.on_card:
        offered = ", ".join(loaded.offered) or "nothing"
        say(
            f"The job holds the card {share.uuid}, but the model ran on the processor: the ONNX Runtime"
            f" of this worker offers {offered}; install onnxruntime-gpu[cuda,cudnn] for CUDA."
        )


def _result(work: _Work) -> dict[str, JsonValue]:
    return {
        "tags": {one.source: [tag.name for tag in one.tags[:_NAMES_SHOWN]] for one in work.sets},
        "models": work.ran,
        "leftOut": work.left_out,
    }
