"""What a job makes: begun where it belongs, checked, published with a manifest, found again by its recipe."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

from callsheet.errors import BadInputError, CapacityError, TransientError
from callsheet.media.facts import MediaFacts
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Derivative, DerivativeFacts, Item, ItemFacts
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import PROBE, SURVEY, ProbeArguments, SurveyArguments
from callsheet.worker.item_facts import EXTRA_LIMIT, sound_item
from callsheet.worker.storage.staging import StagedOutput, derivative_path, stage
from callsheet.worker.threads import in_thread

DEADLINE_S: Final = 3600.0
"""How long the check of one output may take."""
_BLOCK: Final = 1 << 20
_MIB: Final = 1 << 20
_MANIFEST_VERSION: Final = 1
_RESULT_MANIFEST_MAX: Final = 16 * 1024
"""Bytes of a manifest in a result; a longer one stands there without its sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an output is to lie."""

    root: str
    folder: str
    """The first folder where nobody asks for a path, such as ``playback``."""
    recipe: str
    item_id: str
    """The item that it is named for."""
    suffix: str
    wanted: str | None = None
    """Where it is asked for, relative to the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an output has to be."""

    duration_s: float
    video: bool = True
    audio: bool = True
    frames: int | None = None
    """Exactly so many; None where that is not known."""
    audio_s: float | None = None
    """How long the sound lasts; None where it may end before the pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPicture:
    """What a picture has to be."""

    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How it was made, for the manifest."""

    encoder: str
    ffmpeg: str
    """The first line of ``ffmpeg -version``."""
    argv: Sequence[str]
    further: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What else the item says of how it was made; left out where it is too long for a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A published output."""

    row: ItemFacts
    """The library item that it becomes."""
    manifest: dict[str, JsonValue]


async def begin(context: JobContext, place: Place, *, expected_bytes: int) -> StagedOutput:
    """Begin an output.

    Raises:
        BadInputError: Nothing can lie there, something lies there already, or its name ends wrongly.
        CapacityError: The disk has no room for it.
    """
    check_wanted(place)
    await require_room(context, place.root, expected_bytes)
    if place.wanted is not None:
        return await context.stage(place.root, place.wanted)
    path = derivative_path(place.folder, place.item_id, place.recipe, context.lease.file_tag, place.suffix)
    return await stage(context.roots, place.root, path, context.lease)


def check_wanted(place: Place) -> None:
    """Refuse a name that says another format than the output has.

    Raises:
        BadInputError: It does.
    """
    if place.wanted is not None and not place.wanted.lower().endswith(place.suffix):
        raise BadInputError(f"outputPath: {place.wanted} must end in {place.suffix}, which it is going to be")


async def require_room(context: JobContext, root: str, expected_bytes: int) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        CapacityError: Too little is free in the root.
    """
    context.roots.require_writable(root)
    floor = context.limits.free_floor_mib * _MIB
    free = await in_thread(lambda: context.roots.store(root).room_bytes(expected_bytes + floor))
    if free - expected_bytes < floor:
        raise CapacityError(
            f"root {root!r}: {free // _MIB:,} MiB are free, about {expected_bytes // _MIB:,} MiB are needed "
            f"and {floor // _MIB:,} MiB have to stay free (free_disk_floor_mib); make room"
        )


async def publish(
    context: JobContext,
    output: StagedOutput,
    expected: Expected | ExpectedPicture,
    recorded: Recorded,
    *,
    recipe: str,
    sources: Sequence[Item],
) -> Made:
    """Check what was made and publish it.

    Raises:
        TransientError: It is not what was expected; nothing was published.
        CapacityError: The disk is full.
    """
    identity, facts = await _facts(context, output.fd)
    if isinstance(expected, ExpectedPicture):
        found = _checked_picture(facts, expected)
    else:
        found = await checked(context, output.fd, expected)
    digest = await in_thread(partial(_hash, output.fd))
    if output.wanted:
        await context.publish(output)
    else:
        await output.publish()
    path = output.wanted or output.path
    lies = await in_thread(partial(context.roots.facts, output.root, output.path))
    manifest: dict[str, JsonValue] = {
        "version": _MANIFEST_VERSION,
        "jobId": context.lease.job_id,
        "recipe": recipe,
        "sources": [{"itemId": one.id, "identity": one.facts.identity} for one in sources],
        "blake2b": digest,
        "sizeBytes": lies.size_bytes,
        "streams": found,
        "encoder": recorded.encoder,
        "ffmpeg": recorded.ffmpeg,
        "argv": list(recorded.argv),
    }
    row = sound_item(facts)
    row.root, row.path, row.identity = output.root, path, identity
    row.size_bytes, row.mtime_ns = lies.size_bytes, lies.mtime_ns
    row.extra_json = _extra(row.extra_json, manifest, [one.id for one in sources], recorded.further)
    context.report.log(
        plain_line(
            f"Published {output.root}/{path}: {lies.size_bytes / 1e6:,.1f} MB, {facts.duration_s or 0:.1f} s."
        )
    )
    return Made(row=row, manifest=manifest)


async def checked(context: JobContext, fd: int, expected: Expected) -> list[JsonValue]:
    """Return the streams of what was made, once it is what was expected.

    Raises:
        TransientError: It is not.
    """
    answer = await context.children.run(SURVEY, SurveyArguments(), descriptors=[fd], deadline_s=DEADLINE_S)
    found = answer.value.survey
    if found is None:
        reason = answer.value.fault.reason if answer.value.fault else "no reason given"
        raise TransientError(f"what was made cannot be read: {reason}")
    if (found.video is not None) != expected.video or (found.audio is not None) != expected.audio:
        words = (f"{'' if found.video else 'no '}pictures", f"{'' if found.audio else 'no '}sound")
        raise TransientError(f"what was made has {' and '.join(words)}; that is not what was asked for")
    allowed_s = max(0.5, 0.02 * expected.duration_s)
    if abs(found.duration_s - expected.duration_s) > allowed_s:
        raise TransientError(
            f"what was made lasts {found.duration_s:.2f} s instead of {expected.duration_s:.2f} s"
        )
    if found.video and expected.frames is not None and found.video.frames != expected.frames:
        raise TransientError(
            f"what was made has {found.video.frames:,} frames instead of {expected.frames:,}"
        )
    sound_s = found.audio.duration_s if found.audio else 0.0
    if expected.audio_s is not None and abs(sound_s - expected.audio_s) > allowed_s:
        raise TransientError(f"its sound lasts {sound_s:.2f} s instead of {expected.audio_s:.2f} s")
    streams: list[JsonValue] = []
    if found.video:
        track = found.video
        streams.append(
            {"codec": track.codec, "width": track.width, "height": track.height, "frames": track.frames}
        )
    if found.audio:
        streams.append({"codec": found.audio.codec, "sampleRateHz": found.audio.sample_rate})
    return streams


def _checked_picture(facts: MediaFacts, expected: ExpectedPicture) -> list[JsonValue]:
    if (facts.width, facts.height) != (expected.width, expected.height):
        raise TransientError(
            f"what was made is {facts.width}x{facts.height} pixels instead of "
            f"{expected.width}x{expected.height}"
        )
    return [{"codec": facts.format, "width": facts.width, "height": facts.height}]


async def counted_frames(context: JobContext, fd: int) -> int:
    """Return how many frames a file of our own has; 0 where it cannot be read."""
    answer = await context.children.run(SURVEY, SurveyArguments(), descriptors=[fd], deadline_s=DEADLINE_S)
    found = answer.value.survey
    return found.video.frames if found and found.video else 0


def derivative_of(item: Item, made: ItemFacts, *, kind: str, recipe: str, media_type: str) -> DerivativeFacts:
    """Return the row that points from a source to what was made of it."""
    return DerivativeFacts(
        item_id=item.id,
        kind=kind,
        recipe=recipe,
        source_identity=item.facts.identity,
        root=made.root,
        path=made.path,
        media_type=media_type,
        width=made.width,
        height=made.height,
        size_bytes=made.size_bytes,
    )


def result_of(made: Made) -> dict[str, JsonValue]:
    """Return what a job says of what it made."""
    row, manifest = made.row, made.manifest
    if len(json.dumps(manifest)) > _RESULT_MANIFEST_MAX:
        manifest = {key: value for key, value in manifest.items() if key != "sources"}
    return {
        "outputPath": row.path,
        "root": row.root,
        "cached": False,
        "durationSeconds": round(row.duration_s, 3),
        "width": row.width,
        "height": row.height,
        "sizeBytes": row.size_bytes,
        "encoder": made.manifest["encoder"],
        "manifest": manifest,
    }


async def cached(context: JobContext, item: Item, *, kind: str, place: Place) -> Derivative | None:
    """Return what an earlier job made of the same content by the same recipe, if its file is whole.

    Where another path is asked for it does not count: the file has to lie there.
    """
    for one in item.derivatives:
        facts = one.facts
        same = facts.kind == kind and facts.recipe == place.recipe
        if not same or facts.source_identity != item.facts.identity or facts.root != place.root:
            continue
        if place.wanted is not None and facts.path != place.wanted:
            continue
        try:
            found = await in_thread(partial(context.roots.facts, facts.root, facts.path))
        except BadInputError:
            continue
        if found.size_bytes == facts.size_bytes:
            context.report.log(plain_line(f"Completed at once, as cached: {facts.root}/{facts.path}."))
            return one
    return None


async def _facts(context: JobContext, fd: int) -> tuple[str, MediaFacts]:
    arguments = ProbeArguments(name_promises_media=True)
    found = (await context.children.run(PROBE, arguments, descriptors=[fd], deadline_s=DEADLINE_S)).value
    if found.facts is None:
        raise TransientError(f"what was made cannot be read: {found.fault.reason if found.fault else ''}")
    return found.identity, found.facts


def _hash(fd: int) -> str:
    digest, at = blake2b(digest_size=32), 0
    while block := os.pread(fd, _BLOCK, at):
        digest.update(block)
        at += len(block)
    return digest.hexdigest()


def _extra(
    known: str, manifest: dict[str, JsonValue], sources: list[str], further: Mapping[str, JsonValue]
) -> str:
    """Return further facts as JSON; a row has no room for all of a long list of sources."""
    brief = {key: value for key, value in manifest.items() if key not in {"argv", "sources"}}
    named: dict[str, JsonValue] = {**json.loads(known or "{}"), "sources": list(sources)}
    texts = (
        json.dumps({**named, **extra}, ensure_ascii=False, sort_keys=True)
        for extra in ({**further, "manifest": manifest}, {**further, "manifest": brief}, {"manifest": brief})
    )
    return next((text for text in texts if len(text.encode()) <= EXTRA_LIMIT), "")
